// Reads a table of 6,000 rows and sums a column of it.
package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
)

func main() {
	var text bytes.Buffer
	to := csv.NewWriter(&text)
	for i := 0; i < 6000; i++ {
		to.Write([]string{strconv.Itoa(i), "a \"name\", " + strconv.Itoa(i*7), "line\nbreak"})
	}
	to.Flush()
	rows, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sum := 0
	for _, row := range rows {
		number, _ := strconv.Atoi(row[0])
		sum += number
	}
	fmt.Println("ok", len(rows), sum)
}
