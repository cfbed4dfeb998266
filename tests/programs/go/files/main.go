// Arguments, variables, folders and files.
package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	folder := must(os.MkdirTemp("/data", "go"))
	for i := 0; i < 120; i++ {
		name := filepath.Join(folder, fmt.Sprintf("file %03d", i))
		if err := os.WriteFile(name, []byte(strings.Repeat("line\n", i)), 0o600); err != nil {
			panic(err)
		}
	}
	if err := os.Rename(filepath.Join(folder, "file 000"), filepath.Join(folder, "other")); err != nil {
		panic(err)
	}
	lines, names := 0, 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		names++
		file := must(os.Open(path))
		defer file.Close()
		for read := bufio.NewScanner(file); read.Scan(); {
			lines++
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		panic(err)
	}
	fmt.Println("ok", names, lines, strings.Join(os.Args[1:], "|"), len(os.Environ()))
}
