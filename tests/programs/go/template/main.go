// JSON into a template of text.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type item struct {
	Name  string            `json:"name"`
	Count int               `json:"count"`
	More  map[string]string `json:"more"`
}

func main() {
	var items []item
	for i := 0; i < 1_500; i++ {
		items = append(items, item{fmt.Sprint("name ", i), i, map[string]string{"k": strings.Repeat("v", i%50)}})
	}
	text, err := json.Marshal(items)
	if err != nil {
		panic(err)
	}
	var back []item
	if err := json.Unmarshal(text, &back); err != nil {
		panic(err)
	}
	page := template.Must(template.New("page").Parse(`{{range .}}{{.Name}}: {{.Count}} {{.More.k}}
{{end}}`))
	var out strings.Builder
	if err := page.Execute(&out, back); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok", len(back), out.Len())
}
