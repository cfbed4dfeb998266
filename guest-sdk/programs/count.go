// Counts the characters, words and lines of standard input, and how often the phrase after --phrase
// occurs in it, and prints that as JSON. A program like any other: it knows of no host.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

type counts struct {
	Characters  int  `json:"characters"`
	Words       int  `json:"words"`
	Lines       int  `json:"lines"`
	Occurrences *int `json:"occurrences,omitempty"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	phrase := flag.String("phrase", "", "what to look for")
	flag.Parse()
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	text := string(input)
	counted := counts{
		Characters: utf8.RuneCountInString(text),
		Words:      len(strings.Fields(text)),
		Lines:      strings.Count(text, "\n"),
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		counted.Lines++
	}
	if flag.NFlag() > 0 {
		if strings.TrimSpace(*phrase) == "" {
			return errors.New("phrase: give at least one character that is no space, or leave it out")
		}
		found := strings.Count(strings.ToLower(text), strings.ToLower(*phrase))
		counted.Occurrences = &found
	}
	return json.NewEncoder(os.Stdout).Encode(counted)
}
