// Go's own parser, printer and types over a source made here.
package main

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"strings"
)

func main() {
	var source strings.Builder
	source.WriteString("package p\n")
	for i := 0; i < 400; i++ {
		fmt.Fprintf(&source, "func  f%d( a int,b  []string )( int ,error ){ if a>%d {return a,nil};return len( b ),nil }\n", i, i)
	}
	formatted, err := format.Source([]byte(source.String()))
	if err != nil {
		panic(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", formatted, 0)
	if err != nil {
		panic(err)
	}
	functions := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if _, is := node.(*ast.FuncDecl); is {
			functions++
		}
		return true
	})
	fmt.Println("ok", functions, strings.Contains(string(formatted), "\treturn len(b), nil\n"))
}
