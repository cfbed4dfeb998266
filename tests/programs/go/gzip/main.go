// Packs 600 KiB and unpacks them.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
)

func main() {
	var text bytes.Buffer
	for i := 0; text.Len() < 600<<10; i++ {
		fmt.Fprintln(&text, "line", i, i*i)
	}
	before := sha256.Sum256(text.Bytes())
	var packed bytes.Buffer
	to := gzip.NewWriter(&packed)
	io.Copy(to, &text)
	to.Close()
	from, err := gzip.NewReader(&packed)
	if err != nil {
		panic(err)
	}
	back, err := io.ReadAll(from)
	if err != nil {
		panic(err)
	}
	fmt.Println("ok", len(back) >= 600<<10, sha256.Sum256(back) == before)
}
