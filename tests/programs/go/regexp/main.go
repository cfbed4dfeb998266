// Finds and replaces with regular expressions.
package main

import (
	"fmt"
	"regexp"
	"strings"
)

func main() {
	text := strings.Repeat("one@example.org, two@example.com; nothing here 2026-11-29\n", 600)
	mail := regexp.MustCompile(`([a-z]+)@([a-z]+\.(?:org|com))`)
	date := regexp.MustCompile(`(\d{4})-(\d{2})-(\d{2})`)
	turned := date.ReplaceAllString(text, "$3.$2.$1")
	fmt.Println("ok", len(mail.FindAllStringSubmatch(text, -1)), strings.Count(turned, "29.11.2026"))
}
