module github.com/ringtaildb/ringtail

go 1.26.0
