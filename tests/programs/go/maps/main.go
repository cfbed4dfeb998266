// A map of 60,000 texts, half of which are taken out again.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	input, _ := io.ReadAll(os.Stdin)
	numbers := map[int]string{}
	for i := 0; i < 60_000; i++ {
		numbers[i] = fmt.Sprint(i)
	}
	for i := 0; i < 60_000; i += 2 {
		delete(numbers, i)
	}
	fmt.Println("ok", len(numbers), numbers[59_999], len(input))
}
