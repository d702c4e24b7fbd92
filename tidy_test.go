// Package ringtail_test holds the tests of the house itself: that packages
// import only what stands below them, and that each says what it is for.
package ringtail_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ringtaildb/ringtail/"

// rows reads the table of packages in docs/ARCHITECTURE.md, the one place where
// the rows are written down: `| row | packages | duty |`.
func rows(t *testing.T) map[string]int {
	t.Helper()
	doc, err := os.ReadFile("docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\| (\d+) \| ([^|]+) \|`)
	name := regexp.MustCompile("`([^`]+)`")
	out := map[string]int{}
	for _, m := range line.FindAllStringSubmatch(string(doc), -1) {
		row, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range name.FindAllStringSubmatch(m[2], -1) {
			if _, twice := out[n[1]]; twice {
				t.Errorf("docs/ARCHITECTURE.md names %s twice", n[1])
			}
			out[n[1]] = row
		}
	}
	return out
}

// pkg is what the sources of one directory say.
type pkg struct {
	imports map[string]bool
	comment bool
}

// packages reads every package of the module, without its tests.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	out := map[string]pkg{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || nested(path)):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		p, ok := out[dir]
		if !ok {
			p.imports = map[string]bool{}
		}
		p.comment = p.comment || hasPackageComment(f)
		for _, i := range f.Imports {
			if name, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module); ours {
				p.imports[name] = true
			}
		}
		out[dir] = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// nested tells whether dir is a module of its own.
func nested(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func hasPackageComment(f *ast.File) bool {
	if f.Doc == nil {
		return false
	}
	text := f.Doc.Text()
	return strings.HasPrefix(text, "Package "+f.Name.Name+" ") || f.Name.Name == "main" && strings.HasPrefix(text, "Command ")
}

func TestImportsPointDown(t *testing.T) {
	rows := rows(t)
	for name, p := range packages(t) {
		row, ok := rows[name]
		if !ok {
			t.Errorf("docs/ARCHITECTURE.md gives %s no row", name)
			continue
		}
		for i := range p.imports {
			if below, ok := rows[i]; ok && below >= row {
				t.Errorf("%s (row %d) imports %s (row %d)", name, row, i, below)
			}
		}
	}
}

func TestEveryPackageOfTheTableExists(t *testing.T) {
	found := packages(t)
	for name := range rows(t) {
		if _, ok := found[name]; !ok {
			t.Errorf("docs/ARCHITECTURE.md names %s, which does not exist", name)
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for name, p := range packages(t) {
		if !p.comment {
			t.Errorf("%s has no package comment", name)
		}
	}
}
