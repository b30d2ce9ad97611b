//! Go programs, each with a character of its own.

use std::fmt::Write as _;

/// Paths and contents of a commit.
pub type Files = Vec<(String, String)>;

/// A module at the root, with these files beside `go.mod`.
pub fn module(files: &[(&str, &str)]) -> Files {
    std::iter::once(("go.mod", "module example.com/app\n\ngo 1.19\n"))
        .chain(files.iter().copied())
        .map(|(path, content)| (path.to_owned(), content.to_owned()))
        .collect()
}

/// A web server that answers `/` with these words, and `/env?NAME` with the variable's value.
pub fn server(answer: &str) -> Files {
    module(&[("main.go", &server_source(answer, ":8080", ""))])
}

/// The same, listening where nobody outside its container reaches it.
pub fn server_on_localhost() -> Files {
    module(&[("main.go", &server_source("unheard", "127.0.0.1:8080", ""))])
}

/// The same, listening only after a delay that a Go expression gives.
pub fn slow_server(answer: &str, delay: &str) -> Files {
    let sleep = format!("time.Sleep({delay})");
    module(&[("main.go", &server_source(answer, ":8080", &sleep))])
}

/// The same, deaf to SIGTERM: as process 1 it is not ended by one that it ignores.
pub fn deaf_server(answer: &str) -> Files {
    let deaf = "sig := make(chan os.Signal, 1); signal.Notify(sig, syscall.SIGTERM)";
    let source = server_source(answer, ":8080", deaf)
        .replace("\t\"os\"\n", "\t\"os\"\n\t\"os/signal\"\n\t\"syscall\"\n");
    module(&[("main.go", &source)])
}

/// The source of a `main` package that serves `answer` at `address`, after a statement.
pub fn server_source(answer: &str, address: &str, first: &str) -> String {
    format!(
        r#"package main

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

func main() {{
	fmt.Println("args", os.Args[1:], time.Now().Year() > 0)
	{first}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{ fmt.Fprint(w, {answer:?}) }})
	http.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {{ fmt.Fprint(w, os.Getenv(r.URL.RawQuery)) }})
	fmt.Println("listening on", {address:?})
	fmt.Fprintln(os.Stderr, http.ListenAndServe({address:?}, nil))
	os.Exit(1)
}}
"#
    )
}

/// A program that prints 30 lines and ends with exit code 3.
pub fn crash() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"fmt"
	"os"
)

func main() {
	for i := 1; i <= 29; i++ {
		fmt.Println("step", i)
	}
	fmt.Fprintln(os.Stderr, "fatal: no database")
	os.Exit(3)
}
"#,
    )])
}

/// A program that listens on nothing and prints a line to each stream every 50 ms.
pub fn worker() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	for round := 1; ; round++ {
		fmt.Println("round", round)
		fmt.Fprintln(os.Stderr, "trouble", round)
		time.Sleep(50 * time.Millisecond)
	}
}
"#,
    )])
}

/// A program that prints one line of 100,000 bytes and one that is not UTF-8, then waits.
pub fn odd_printer() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	fmt.Println(strings.Repeat("x", 100000))
	os.Stdout.Write([]byte("caf\xe9\n"))
	fmt.Println("done")
	time.Sleep(time.Hour)
}
"#,
    )])
}

/// A program that writes down in `/data` what it prints: 25,000 lines to both streams, every thousandth longer
/// than the engine's pieces, and last words without a newline. It prints `done` and waits; if there is
/// `/data/go` it ends with exit code 3, but not on its fourth run.
pub fn journal() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func open(name string) *os.File {
	file, err := os.OpenFile("/data/"+name, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		panic(err)
	}
	return file
}

func main() {
	runs := open("runs")
	before, _ := io.ReadAll(runs)
	run := len(before) + 1
	fmt.Fprint(runs, "x")
	streams := []*os.File{os.Stdout, os.Stderr}
	written := []*bufio.Writer{bufio.NewWriter(open("stdout")), bufio.NewWriter(open("stderr"))}
	for i := 0; i < 25000; i++ {
		line := fmt.Sprintf("run %d line %d", run, i)
		if i%1000 == 999 {
			line += strings.Repeat(" long", 8000)
		}
		fmt.Fprintln(streams[i%2], line)
		fmt.Fprintln(written[i%2], line)
	}
	for i := range streams {
		fmt.Fprintln(streams[i], "done", run)
		fmt.Fprintln(written[i], "done", run)
	}
	if run < 4 {
		for {
			if _, err := os.Stat("/data/go"); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		fmt.Fprint(os.Stdout, "last words ", run)
		fmt.Fprintln(written[0], "last words", run)
	}
	written[0].Flush()
	written[1].Flush()
	if run < 4 {
		os.Exit(3)
	}
	time.Sleep(time.Hour)
}
"#,
    )])
}

/// A program that counts, 20 times a second, and writes each line down in `/data/stdout` before it prints it.
pub fn diary() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	file, err := os.OpenFile("/data/stdout", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	start := time.Now().UnixNano()
	for i := 1; ; i++ {
		fmt.Fprintln(file, "start", start, "line", i)
		fmt.Println("start", start, "line", i)
		time.Sleep(50 * time.Millisecond)
	}
}
"#,
    )])
}

/// A program that prints 300,000 lines of 100 bytes and waits.
pub fn flood() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"time"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	for i := 0; i < 300000; i++ {
		fmt.Fprintf(out, "%099d\n", i)
	}
	out.Flush()
	time.Sleep(time.Hour)
}
"#,
    )])
}

/// A program that prints `ready` and waits for `/data/go`; then 6,000 lines of 1 KiB in bursts, and `done`.
pub fn bursts() -> Files {
    module(&[(
        "main.go",
        r#"package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	fmt.Println("ready")
	for {
		if _, err := os.Stat("/data/go"); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	out := bufio.NewWriter(os.Stdout)
	for i := 0; i < 6000; i++ {
		fmt.Fprintf(out, "%04d %s\n", i, strings.Repeat("x", 1000))
		if i%100 == 99 {
			out.Flush()
			time.Sleep(40 * time.Millisecond)
		}
	}
	fmt.Println("done")
	time.Sleep(time.Hour)
}
"#,
    )])
}

/// A source file with a mistake in line 4.
pub fn broken() -> Files {
    module(&[(
        "main.go",
        "package main\n\nfunc main() {\n\tundefinedName()\n}\n",
    )])
}

/// A program that keeps the compiler busy for a minute or so.
pub fn slow_to_compile() -> Files {
    let mut source = "package main\n\nimport \"os\"\n\nfunc work(m map[string]int) {\n".to_owned();
    for i in 0..60_000 {
        let half = i / 2;
        let divisor = format_args!("(m[\"k{half}\"] + 1)");
        writeln!(source, "\tm[\"k{i}\"] += len(os.Args) * {i} / {divisor}")
            .expect("a string grows");
    }
    source += "}\n\nfunc main() { work(map[string]int{}) }\n";
    module(&[("main.go", &source)])
}
