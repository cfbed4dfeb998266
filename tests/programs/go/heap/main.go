// Grows the heap piece by piece, asking WASI for something between the pieces, and looks at each again.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"time"
)

func main() {
	var pieces [][]byte
	for i := 0; i < 32; i++ {
		piece := make([]byte, 512<<10)
		for at := range piece {
			piece[at] = byte(at ^ i)
		}
		pieces = append(pieces, piece)
		var some [8]byte
		rand.Read(some[:])
		_ = time.Now()
		fmt.Fprintln(os.Stderr, i)
	}
	runtime.GC()
	for i, piece := range pieces {
		for at := range piece {
			if piece[at] != byte(at^i) {
				fmt.Println("changed", i, at)
				os.Exit(1)
			}
		}
	}
	fmt.Println("ok", len(pieces))
}
