// Sorts what a generator gives, in place and stably.
package main

import (
	"fmt"
	"math/rand"
	"sort"
)

func main() {
	from := rand.New(rand.NewSource(11))
	numbers := make([]int, 60_000)
	texts := make([]string, 10_000)
	for i := range numbers {
		numbers[i] = from.Int()
	}
	for i := range texts {
		texts[i] = fmt.Sprintf("%08x", from.Uint32())
	}
	sort.Ints(numbers)
	sort.SliceStable(texts, func(a, b int) bool { return texts[a] < texts[b] })
	fmt.Println("ok", sort.IntsAreSorted(numbers), sort.StringsAreSorted(texts))
}
