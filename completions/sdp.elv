
use builtin;
use str;

set edit:completion:arg-completer[sdp] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'sdp'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'sdp'= {
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -v '--verbose, before the command (after `deploy`, -v mounts a volume)'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand deploy 'Fetch, check out, build and start a branch; replace what runs once the new release is proven'
            cand rollback 'Go back to an earlier release: no git, no build, the same health check'
            cand start 'Start again what stop stopped'
            cand stop 'Stop what runs'
            cand logs 'Show what the program printed'
            cand status 'Show what runs, since when, and on which commit'
            cand prune 'Remove old releases and their stopped containers'
            cand completions 'Write the completions for a shell to standard output'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'sdp;deploy'= {
            cand -b 'The branch to deploy [default: the one that is checked out]'
            cand --branch 'The branch to deploy [default: the one that is checked out]'
            cand --tag 'The tag to deploy instead'
            cand --commit 'The commit to deploy instead: its id, or the beginning of it'
            cand --path 'Where the checkout is, or goes when it is cloned'
            cand --url 'Where to clone from when there is no checkout yet'
            cand --depth 'Clone no more than the last N commits'
            cand --ssh-key 'The private key for ssh, before any other'
            cand --git-token-file 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has'
            cand --git-timeout 'How long a transfer may make no progress'
            cand --package 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]'
            cand --workdir 'The directory in the repository to build in, where the module is not at its root'
            cand --tags 'Build tags, separated by commas'
            cand --ldflags 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in'
            cand --build-env 'Set a variable for the build only, such as GOPRIVATE, or take sdp''s own with the name alone'
            cand --go 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]'
            cand --image 'The image to run the program in; `builtin` is a minimal one that sdp carries'
            cand --pull 'When to pull the image'
            cand -e 'Set a variable, or pass on sdp''s own with the name alone'
            cand --env 'Set a variable, or pass on sdp''s own with the name alone'
            cand --env-file 'Set the variables in this file'
            cand -p 'Publish a port'
            cand --publish 'Publish a port'
            cand -v 'Mount a directory of the host, or a named volume'
            cand --volume 'Mount a directory of the host, or a named volume'
            cand --port 'The port that the program listens on'
            cand --network 'The network to join'
            cand --label 'Add a label'
            cand --stop-timeout 'How long a container may take to stop before it is killed'
            cand --mount 'What is mounted at /src: this deployment''s own copy, or the live checkout, writable'
            cand --deliver 'How the release gets to the engine'
            cand --include 'Untracked files that the release takes along, such as ''assets/**/*.css'''
            cand --id 'The deployment''s id [default: the time and four random digits]'
            cand --keep 'How many releases stay, with their stopped containers'
            cand --health-http 'The path that must answer with 2xx or 3xx on the program''s port'
            cand --health-timeout 'How long --health-http may take to answer'
            cand --settle 'How long a program that does not listen must stay up'
            cand --lock-wait 'How long to wait for another deployment of the repository to end'
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --force 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag'
            cand --submodules 'Bring submodules to where the commit has them, which takes the git program'
            cand --cgo 'Build with cgo; the image must have the C library that the program is linked against'
            cand --no-canary 'Never run two releases at once: with a host port in common, stop the former one first'
            cand --if-changed 'Leave what runs alone if commit, settings and image are the same, and it is healthy'
            cand --dry-run 'Only say what would be done, with the docker run line that comes nearest to it'
            cand -f 'Follow the program''s output after the deployment, until Ctrl-C'
            cand --follow 'Follow the program''s output after the deployment, until Ctrl-C'
            cand --redact-logs 'Mask the values of the container''s variables in that output, too'
            cand --raw 'Let the program''s output steer the terminal: colours, but anything else, too'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'sdp;rollback'= {
            cand --to 'The deployment to go back to; `sdp status REPO` lists them'
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --no-canary 'Never run two releases at once: stop the one that runs first'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;start'= {
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;stop'= {
            cand --stop-timeout 'How long the program may take to stop before it is killed'
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;logs'= {
            cand -n 'Begin with the last N lines'
            cand --tail 'Begin with the last N lines'
            cand --since 'Begin that long ago, or at that moment: 10m, 2026-11-24T06:15:00Z'
            cand --until 'End that long ago, or at that moment; with --follow, when it comes'
            cand --stream 'Only one of the two streams'
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand -f 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C'
            cand --follow 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C'
            cand --raw 'Let the program''s output steer the terminal: colours, but anything else, too'
            cand -t 'Put the time before each line'
            cand --timestamps 'Put the time before each line'
            cand --redact-logs 'Mask the values of the container''s variables'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;status'= {
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --history 'What was done to it, oldest first'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;prune'= {
            cand --keep 'How many releases stay'
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --dry-run 'Only say what would be removed'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;completions'= {
            cand --color 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected'
            cand -H 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --host 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker''s context]'
            cand --json 'Write JSON lines to standard output, and nothing else'
            cand -q 'Say nothing but warnings and errors'
            cand --quiet 'Say nothing but warnings and errors'
            cand --verbose 'Say more: each stage as it starts, each remark'
            cand -h 'Print help'
            cand --help 'Print help'
        }
        &'sdp;help'= {
            cand deploy 'Fetch, check out, build and start a branch; replace what runs once the new release is proven'
            cand rollback 'Go back to an earlier release: no git, no build, the same health check'
            cand start 'Start again what stop stopped'
            cand stop 'Stop what runs'
            cand logs 'Show what the program printed'
            cand status 'Show what runs, since when, and on which commit'
            cand prune 'Remove old releases and their stopped containers'
            cand completions 'Write the completions for a shell to standard output'
            cand help 'Print this message or the help of the given subcommand(s)'
        }
        &'sdp;help;deploy'= {
        }
        &'sdp;help;rollback'= {
        }
        &'sdp;help;start'= {
        }
        &'sdp;help;stop'= {
        }
        &'sdp;help;logs'= {
        }
        &'sdp;help;status'= {
        }
        &'sdp;help;prune'= {
        }
        &'sdp;help;completions'= {
        }
        &'sdp;help;help'= {
        }
    ]
    $completions[$command]
}
