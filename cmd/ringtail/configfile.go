package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// configFile is a flag that names a YAML file with values for the flags of its
// own command.
type configFile string

// setting is what the file says of one flag.
type setting struct {
	value string
	line  int
}

// configResolver gives the parser what a file says. Flags that the environment
// sets are not its business: a file comes last.
type configResolver struct {
	file     string
	settings map[string]setting
}

// BeforeResolve reads the file, when the command that runs has one.
func (configFile) BeforeResolve(ctx *kong.Context, at *kong.Path) error {
	file, ok := ctx.FlagValue(at.Flag).(configFile)
	if !ok || file == "" || ctx.Selected() == nil {
		return nil
	}
	flags := settable(ctx.Selected().Flags)
	if flags[at.Flag.Name] == nil {
		// The variable is set for another command than this one.
		return nil
	}
	delete(flags, at.Flag.Name)
	settings, err := readSettings(string(file))
	if err != nil {
		return fmt.Errorf("--%s: %w", at.Flag.Name, err)
	}
	for name, s := range settings {
		if flags[name] == nil {
			return fmt.Errorf("--%s: %s:%d: there is no key %q", at.Flag.Name, file, s.line, name)
		}
	}
	ctx.AddResolver(configResolver{string(file), settings})
	return nil
}

// settable returns by name the flags that a file may set.
func settable(flags []*kong.Flag) map[string]*kong.Flag {
	m := make(map[string]*kong.Flag, len(flags))
	for _, f := range flags {
		if !f.Hidden {
			m[f.Name] = f
		}
	}
	return m
}

// Validate implements kong.Resolver.
func (configResolver) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. It tries the value out, so that what is
// wrong with it is told with its line.
func (c configResolver) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	s, ok := c.settings[flag.Name]
	if !ok {
		return nil, nil
	}
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	trial := reflect.New(flag.Target.Type()).Elem()
	scan := kong.Scan().PushTyped(s.value, kong.FlagValueToken)
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, trial); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", c.file, s.line, err)
	}
	return s.value, nil
}

// readSettings reads a file of keys and values.
func readSettings(file string) (map[string]setting, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var doc yaml.Node
	d := yaml.NewDecoder(io.LimitReader(f, maxConfig))
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	settings, err := settingsOf(doc.Content[0])
	if err != nil {
		return nil, fmt.Errorf("%s:%w", file, err)
	}
	return settings, nil
}

// settingsOf reads the mapping of a file; its errors begin with the line.
func settingsOf(root *yaml.Node) (map[string]setting, error) {
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%d: there are no keys and values: name: n1", root.Line)
	}
	settings := make(map[string]setting, len(root.Content)/2)
	for i := 0; i < len(root.Content); i += 2 {
		key, v := root.Content[i], root.Content[i+1]
		if _, ok := settings[key.Value]; ok {
			return nil, fmt.Errorf("%d: %s is there twice", key.Line, key.Value)
		}
		value, err := valueOf(v)
		if err != nil {
			return nil, fmt.Errorf("%d: %s: %w", key.Line, key.Value, err)
		}
		settings[key.Value] = setting{value, key.Line}
	}
	return settings, nil
}

// valueOf returns a scalar, or a list of them, as the command line has it.
func valueOf(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "", errors.New("it has no value")
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode:
		var parts []string
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode || e.Tag == "!!null" {
				return "", errors.New("its elements are not plain values")
			}
			parts = append(parts, e.Value)
		}
		return strings.Join(parts, ","), nil
	}
	return "", errors.New("it is neither a value nor a list of values")
}
