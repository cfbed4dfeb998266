// 200 goroutines that each take memory, a channel and a lock.
package main

import (
	"fmt"
	"sync"
	"time"
)

func main() {
	var all sync.WaitGroup
	var lock sync.Mutex
	total := 0
	lengths := make(chan int)
	for i := 0; i < 200; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(time.Microsecond)
			mine := make([]byte, 100_000)
			mine[i] = 1
			lock.Lock()
			total += len(mine)
			lock.Unlock()
			lengths <- int(mine[i])
		}()
	}
	go func() { all.Wait(); close(lengths) }()
	count := 0
	for one := range lengths {
		count += one
	}
	fmt.Println("ok", count, total)
}
