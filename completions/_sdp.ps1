
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'sdp' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'sdp'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'sdp' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, '--verbose, before the command (after `deploy`, -v mounts a volume)')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('deploy', 'deploy', [CompletionResultType]::ParameterValue, 'Fetch, check out, build and start a branch; replace what runs once the new release is proven')
            [CompletionResult]::new('rollback', 'rollback', [CompletionResultType]::ParameterValue, 'Go back to an earlier release: no git, no build, the same health check')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Start again what stop stopped')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'Stop what runs')
            [CompletionResult]::new('logs', 'logs', [CompletionResultType]::ParameterValue, 'Show what the program printed')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show what runs, since when, and on which commit')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove old releases and their stopped containers')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Say whether this host is ready to deploy: engine, go, git''s remote, image, ports, disk, clock')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'Show the settings a deployment would use, and where each comes from (flag, variable, sdp.toml, default)')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Write the completions for a shell to standard output')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sdp;deploy' {
            [CompletionResult]::new('--request', '--request', [CompletionResultType]::ParameterName, 'Read further flags from a JSON object, - for standard input; keeps secrets out of the process list')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--branch', '--branch', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'The tag to deploy instead')
            [CompletionResult]::new('--commit', '--commit', [CompletionResultType]::ParameterName, 'The commit to deploy instead: its id, or the beginning of it')
            [CompletionResult]::new('--path', '--path', [CompletionResultType]::ParameterName, 'Where the checkout is, or goes when it is cloned')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'Where to clone from when there is no checkout yet')
            [CompletionResult]::new('--depth', '--depth', [CompletionResultType]::ParameterName, 'Clone no more than the last N commits')
            [CompletionResult]::new('--ssh-key', '--ssh-key', [CompletionResultType]::ParameterName, 'The private key for ssh, before any other')
            [CompletionResult]::new('--git-token-file', '--git-token-file', [CompletionResultType]::ParameterName, 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has')
            [CompletionResult]::new('--git-timeout', '--git-timeout', [CompletionResultType]::ParameterName, 'How long a transfer may make no progress')
            [CompletionResult]::new('--package', '--package', [CompletionResultType]::ParameterName, 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]')
            [CompletionResult]::new('--workdir', '--workdir', [CompletionResultType]::ParameterName, 'The directory in the repository to build in, where the module is not at its root')
            [CompletionResult]::new('--tags', '--tags', [CompletionResultType]::ParameterName, 'Build tags, separated by commas')
            [CompletionResult]::new('--ldflags', '--ldflags', [CompletionResultType]::ParameterName, 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in')
            [CompletionResult]::new('--build-env', '--build-env', [CompletionResultType]::ParameterName, 'Set a variable for the build only, such as GOPRIVATE, or take sdp''s own with the name alone')
            [CompletionResult]::new('--go', '--go', [CompletionResultType]::ParameterName, 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]')
            [CompletionResult]::new('--image', '--image', [CompletionResultType]::ParameterName, 'The image to run the program in; `builtin` is a minimal one that sdp carries')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'When to pull the image')
            [CompletionResult]::new('--image-archive', '--image-archive', [CompletionResultType]::ParameterName, 'Load the image from this file, as docker save writes it, where it would be pulled')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Set the variables in this file')
            [CompletionResult]::new('--env-command', '--env-command', [CompletionResultType]::ParameterName, 'Set the variables that a shell command prints, as in a file')
            [CompletionResult]::new('--secret', '--secret', [CompletionResultType]::ParameterName, 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('--publish', '--publish', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The port that the program listens on')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'The network to join')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Add a label')
            [CompletionResult]::new('--stop-timeout', '--stop-timeout', [CompletionResultType]::ParameterName, 'How long a container may take to stop before it is killed')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'What is mounted at /src: this deployment''s own copy, or the live checkout, writable')
            [CompletionResult]::new('--deliver', '--deliver', [CompletionResultType]::ParameterName, 'How the release gets to the engine')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Untracked files that the release takes along, such as ''assets/**/*.css''')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Who the program runs as [default: the image''s user; with --hardened 65534:65534]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'How much memory it may take, such as 256m')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'How many processors it may keep busy, such as 1.5')
            [CompletionResult]::new('--pids', '--pids', [CompletionResultType]::ParameterName, 'How many processes and threads it may have [with --hardened: 512]')
            [CompletionResult]::new('--ulimit', '--ulimit', [CompletionResultType]::ParameterName, 'A limit of the kernel''s, such as nofile=1024:2048')
            [CompletionResult]::new('--log-opt', '--log-opt', [CompletionResultType]::ParameterName, 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]')
            [CompletionResult]::new('--restart', '--restart', [CompletionResultType]::ParameterName, 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped')
            [CompletionResult]::new('--id', '--id', [CompletionResultType]::ParameterName, 'The deployment''s id [default: the time and four random digits]')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'How many releases stay, with their stopped containers; the one that serves counts')
            [CompletionResult]::new('--health-http', '--health-http', [CompletionResultType]::ParameterName, 'The path that must answer with 2xx or 3xx on the program''s port')
            [CompletionResult]::new('--health-timeout', '--health-timeout', [CompletionResultType]::ParameterName, 'How long --health-http, or the port that -p publishes, may take to answer')
            [CompletionResult]::new('--settle', '--settle', [CompletionResultType]::ParameterName, 'How long a program that does not listen must stay up')
            [CompletionResult]::new('--lock-wait', '--lock-wait', [CompletionResultType]::ParameterName, 'How long to wait for another deployment of the repository to end')
            [CompletionResult]::new('--before-build', '--before-build', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it')
            [CompletionResult]::new('--before-start', '--before-start', [CompletionResultType]::ParameterName, 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays')
            [CompletionResult]::new('--after-deploy', '--after-deploy', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag')
            [CompletionResult]::new('--submodules', '--submodules', [CompletionResultType]::ParameterName, 'Bring submodules to where the commit has them, which takes the git program')
            [CompletionResult]::new('--cgo', '--cgo', [CompletionResultType]::ParameterName, 'Build with cgo; the image must have the C library that the program is linked against')
            [CompletionResult]::new('--hardened', '--hardened', [CompletionResultType]::ParameterName, 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes')
            [CompletionResult]::new('--no-canary', '--no-canary', [CompletionResultType]::ParameterName, 'Never run two releases at once: with a host port in common, stop the former one first')
            [CompletionResult]::new('--if-changed', '--if-changed', [CompletionResultType]::ParameterName, 'Leave what runs alone if commit, settings and image are the same, and it is healthy')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done, with the docker run line that comes nearest to it')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Follow the program''s output after the deployment, until Ctrl-C')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Follow the program''s output after the deployment, until Ctrl-C')
            [CompletionResult]::new('--redact-logs', '--redact-logs', [CompletionResultType]::ParameterName, 'Mask the values of the container''s variables in that output, too')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'Let the program''s output steer the terminal: colours, but anything else, too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sdp;rollback' {
            [CompletionResult]::new('--to', '--to', [CompletionResultType]::ParameterName, 'The deployment to go back to; `sdp status REPO` lists them')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--no-canary', '--no-canary', [CompletionResultType]::ParameterName, 'Never run two releases at once: stop the one that runs first')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;start' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;stop' {
            [CompletionResult]::new('--stop-timeout', '--stop-timeout', [CompletionResultType]::ParameterName, 'How long the program may take to stop before it is killed [default: as its deployment was told]')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;logs' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Begin with the last N lines')
            [CompletionResult]::new('--tail', '--tail', [CompletionResultType]::ParameterName, 'Begin with the last N lines')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Begin that long ago, or at that moment: 10m, 2026-11-24T06:15:00Z')
            [CompletionResult]::new('--until', '--until', [CompletionResultType]::ParameterName, 'End that long ago, or at that moment; with --follow, when it comes')
            [CompletionResult]::new('--stream', '--stream', [CompletionResultType]::ParameterName, 'Only one of the two streams')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C or `sdp stop`')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C or `sdp stop`')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'Let the program''s output steer the terminal: colours, but anything else, too')
            [CompletionResult]::new('-t', '-t', [CompletionResultType]::ParameterName, 'Put the time before each line')
            [CompletionResult]::new('--timestamps', '--timestamps', [CompletionResultType]::ParameterName, 'Put the time before each line')
            [CompletionResult]::new('--redact-logs', '--redact-logs', [CompletionResultType]::ParameterName, 'Mask the values of the container''s variables')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;status' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--history', '--history', [CompletionResultType]::ParameterName, 'What was done to it, oldest first')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;prune' {
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'How many releases stay; the one that serves counts')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be removed')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;doctor' {
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--branch', '--branch', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'The tag to deploy instead')
            [CompletionResult]::new('--commit', '--commit', [CompletionResultType]::ParameterName, 'The commit to deploy instead: its id, or the beginning of it')
            [CompletionResult]::new('--path', '--path', [CompletionResultType]::ParameterName, 'Where the checkout is, or goes when it is cloned')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'Where to clone from when there is no checkout yet')
            [CompletionResult]::new('--depth', '--depth', [CompletionResultType]::ParameterName, 'Clone no more than the last N commits')
            [CompletionResult]::new('--ssh-key', '--ssh-key', [CompletionResultType]::ParameterName, 'The private key for ssh, before any other')
            [CompletionResult]::new('--git-token-file', '--git-token-file', [CompletionResultType]::ParameterName, 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has')
            [CompletionResult]::new('--git-timeout', '--git-timeout', [CompletionResultType]::ParameterName, 'How long a transfer may make no progress')
            [CompletionResult]::new('--package', '--package', [CompletionResultType]::ParameterName, 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]')
            [CompletionResult]::new('--workdir', '--workdir', [CompletionResultType]::ParameterName, 'The directory in the repository to build in, where the module is not at its root')
            [CompletionResult]::new('--tags', '--tags', [CompletionResultType]::ParameterName, 'Build tags, separated by commas')
            [CompletionResult]::new('--ldflags', '--ldflags', [CompletionResultType]::ParameterName, 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in')
            [CompletionResult]::new('--build-env', '--build-env', [CompletionResultType]::ParameterName, 'Set a variable for the build only, such as GOPRIVATE, or take sdp''s own with the name alone')
            [CompletionResult]::new('--go', '--go', [CompletionResultType]::ParameterName, 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]')
            [CompletionResult]::new('--image', '--image', [CompletionResultType]::ParameterName, 'The image to run the program in; `builtin` is a minimal one that sdp carries')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'When to pull the image')
            [CompletionResult]::new('--image-archive', '--image-archive', [CompletionResultType]::ParameterName, 'Load the image from this file, as docker save writes it, where it would be pulled')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Set the variables in this file')
            [CompletionResult]::new('--env-command', '--env-command', [CompletionResultType]::ParameterName, 'Set the variables that a shell command prints, as in a file')
            [CompletionResult]::new('--secret', '--secret', [CompletionResultType]::ParameterName, 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('--publish', '--publish', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The port that the program listens on')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'The network to join')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Add a label')
            [CompletionResult]::new('--stop-timeout', '--stop-timeout', [CompletionResultType]::ParameterName, 'How long a container may take to stop before it is killed')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'What is mounted at /src: this deployment''s own copy, or the live checkout, writable')
            [CompletionResult]::new('--deliver', '--deliver', [CompletionResultType]::ParameterName, 'How the release gets to the engine')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Untracked files that the release takes along, such as ''assets/**/*.css''')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Who the program runs as [default: the image''s user; with --hardened 65534:65534]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'How much memory it may take, such as 256m')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'How many processors it may keep busy, such as 1.5')
            [CompletionResult]::new('--pids', '--pids', [CompletionResultType]::ParameterName, 'How many processes and threads it may have [with --hardened: 512]')
            [CompletionResult]::new('--ulimit', '--ulimit', [CompletionResultType]::ParameterName, 'A limit of the kernel''s, such as nofile=1024:2048')
            [CompletionResult]::new('--log-opt', '--log-opt', [CompletionResultType]::ParameterName, 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]')
            [CompletionResult]::new('--restart', '--restart', [CompletionResultType]::ParameterName, 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped')
            [CompletionResult]::new('--id', '--id', [CompletionResultType]::ParameterName, 'The deployment''s id [default: the time and four random digits]')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'How many releases stay, with their stopped containers; the one that serves counts')
            [CompletionResult]::new('--health-http', '--health-http', [CompletionResultType]::ParameterName, 'The path that must answer with 2xx or 3xx on the program''s port')
            [CompletionResult]::new('--health-timeout', '--health-timeout', [CompletionResultType]::ParameterName, 'How long --health-http, or the port that -p publishes, may take to answer')
            [CompletionResult]::new('--settle', '--settle', [CompletionResultType]::ParameterName, 'How long a program that does not listen must stay up')
            [CompletionResult]::new('--lock-wait', '--lock-wait', [CompletionResultType]::ParameterName, 'How long to wait for another deployment of the repository to end')
            [CompletionResult]::new('--before-build', '--before-build', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it')
            [CompletionResult]::new('--before-start', '--before-start', [CompletionResultType]::ParameterName, 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays')
            [CompletionResult]::new('--after-deploy', '--after-deploy', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag')
            [CompletionResult]::new('--submodules', '--submodules', [CompletionResultType]::ParameterName, 'Bring submodules to where the commit has them, which takes the git program')
            [CompletionResult]::new('--cgo', '--cgo', [CompletionResultType]::ParameterName, 'Build with cgo; the image must have the C library that the program is linked against')
            [CompletionResult]::new('--hardened', '--hardened', [CompletionResultType]::ParameterName, 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes')
            [CompletionResult]::new('--no-canary', '--no-canary', [CompletionResultType]::ParameterName, 'Never run two releases at once: with a host port in common, stop the former one first')
            [CompletionResult]::new('--if-changed', '--if-changed', [CompletionResultType]::ParameterName, 'Leave what runs alone if commit, settings and image are the same, and it is healthy')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done, with the docker run line that comes nearest to it')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sdp;config' {
            [CompletionResult]::new('--request', '--request', [CompletionResultType]::ParameterName, 'Read further flags from a JSON object, - for standard input; keeps secrets out of the process list')
            [CompletionResult]::new('-b', '-b', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--branch', '--branch', [CompletionResultType]::ParameterName, 'The branch to deploy [default: the one that is checked out]')
            [CompletionResult]::new('--tag', '--tag', [CompletionResultType]::ParameterName, 'The tag to deploy instead')
            [CompletionResult]::new('--commit', '--commit', [CompletionResultType]::ParameterName, 'The commit to deploy instead: its id, or the beginning of it')
            [CompletionResult]::new('--path', '--path', [CompletionResultType]::ParameterName, 'Where the checkout is, or goes when it is cloned')
            [CompletionResult]::new('--url', '--url', [CompletionResultType]::ParameterName, 'Where to clone from when there is no checkout yet')
            [CompletionResult]::new('--depth', '--depth', [CompletionResultType]::ParameterName, 'Clone no more than the last N commits')
            [CompletionResult]::new('--ssh-key', '--ssh-key', [CompletionResultType]::ParameterName, 'The private key for ssh, before any other')
            [CompletionResult]::new('--git-token-file', '--git-token-file', [CompletionResultType]::ParameterName, 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has')
            [CompletionResult]::new('--git-timeout', '--git-timeout', [CompletionResultType]::ParameterName, 'How long a transfer may make no progress')
            [CompletionResult]::new('--package', '--package', [CompletionResultType]::ParameterName, 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]')
            [CompletionResult]::new('--workdir', '--workdir', [CompletionResultType]::ParameterName, 'The directory in the repository to build in, where the module is not at its root')
            [CompletionResult]::new('--tags', '--tags', [CompletionResultType]::ParameterName, 'Build tags, separated by commas')
            [CompletionResult]::new('--ldflags', '--ldflags', [CompletionResultType]::ParameterName, 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in')
            [CompletionResult]::new('--build-env', '--build-env', [CompletionResultType]::ParameterName, 'Set a variable for the build only, such as GOPRIVATE, or take sdp''s own with the name alone')
            [CompletionResult]::new('--go', '--go', [CompletionResultType]::ParameterName, 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]')
            [CompletionResult]::new('--image', '--image', [CompletionResultType]::ParameterName, 'The image to run the program in; `builtin` is a minimal one that sdp carries')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'When to pull the image')
            [CompletionResult]::new('--image-archive', '--image-archive', [CompletionResultType]::ParameterName, 'Load the image from this file, as docker save writes it, where it would be pulled')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env', '--env', [CompletionResultType]::ParameterName, 'Set a variable, or pass on sdp''s own with the name alone')
            [CompletionResult]::new('--env-file', '--env-file', [CompletionResultType]::ParameterName, 'Set the variables in this file')
            [CompletionResult]::new('--env-command', '--env-command', [CompletionResultType]::ParameterName, 'Set the variables that a shell command prints, as in a file')
            [CompletionResult]::new('--secret', '--secret', [CompletionResultType]::ParameterName, 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('--publish', '--publish', [CompletionResultType]::ParameterName, 'Publish a port; without HOST the engine picks the host''s port')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--volume', '--volume', [CompletionResultType]::ParameterName, 'Mount a directory of the host, or a named volume')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'The port that the program listens on')
            [CompletionResult]::new('--network', '--network', [CompletionResultType]::ParameterName, 'The network to join')
            [CompletionResult]::new('--label', '--label', [CompletionResultType]::ParameterName, 'Add a label')
            [CompletionResult]::new('--stop-timeout', '--stop-timeout', [CompletionResultType]::ParameterName, 'How long a container may take to stop before it is killed')
            [CompletionResult]::new('--mount', '--mount', [CompletionResultType]::ParameterName, 'What is mounted at /src: this deployment''s own copy, or the live checkout, writable')
            [CompletionResult]::new('--deliver', '--deliver', [CompletionResultType]::ParameterName, 'How the release gets to the engine')
            [CompletionResult]::new('--include', '--include', [CompletionResultType]::ParameterName, 'Untracked files that the release takes along, such as ''assets/**/*.css''')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'Who the program runs as [default: the image''s user; with --hardened 65534:65534]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'How much memory it may take, such as 256m')
            [CompletionResult]::new('--cpus', '--cpus', [CompletionResultType]::ParameterName, 'How many processors it may keep busy, such as 1.5')
            [CompletionResult]::new('--pids', '--pids', [CompletionResultType]::ParameterName, 'How many processes and threads it may have [with --hardened: 512]')
            [CompletionResult]::new('--ulimit', '--ulimit', [CompletionResultType]::ParameterName, 'A limit of the kernel''s, such as nofile=1024:2048')
            [CompletionResult]::new('--log-opt', '--log-opt', [CompletionResultType]::ParameterName, 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]')
            [CompletionResult]::new('--restart', '--restart', [CompletionResultType]::ParameterName, 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped')
            [CompletionResult]::new('--id', '--id', [CompletionResultType]::ParameterName, 'The deployment''s id [default: the time and four random digits]')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'How many releases stay, with their stopped containers; the one that serves counts')
            [CompletionResult]::new('--health-http', '--health-http', [CompletionResultType]::ParameterName, 'The path that must answer with 2xx or 3xx on the program''s port')
            [CompletionResult]::new('--health-timeout', '--health-timeout', [CompletionResultType]::ParameterName, 'How long --health-http, or the port that -p publishes, may take to answer')
            [CompletionResult]::new('--settle', '--settle', [CompletionResultType]::ParameterName, 'How long a program that does not listen must stay up')
            [CompletionResult]::new('--lock-wait', '--lock-wait', [CompletionResultType]::ParameterName, 'How long to wait for another deployment of the repository to end')
            [CompletionResult]::new('--before-build', '--before-build', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it')
            [CompletionResult]::new('--before-start', '--before-start', [CompletionResultType]::ParameterName, 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays')
            [CompletionResult]::new('--after-deploy', '--after-deploy', [CompletionResultType]::ParameterName, 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag')
            [CompletionResult]::new('--submodules', '--submodules', [CompletionResultType]::ParameterName, 'Bring submodules to where the commit has them, which takes the git program')
            [CompletionResult]::new('--cgo', '--cgo', [CompletionResultType]::ParameterName, 'Build with cgo; the image must have the C library that the program is linked against')
            [CompletionResult]::new('--hardened', '--hardened', [CompletionResultType]::ParameterName, 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes')
            [CompletionResult]::new('--no-canary', '--no-canary', [CompletionResultType]::ParameterName, 'Never run two releases at once: with a host port in common, stop the former one first')
            [CompletionResult]::new('--if-changed', '--if-changed', [CompletionResultType]::ParameterName, 'Leave what runs alone if commit, settings and image are the same, and it is healthy')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Only say what would be done, with the docker run line that comes nearest to it')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Follow the program''s output after the deployment, until Ctrl-C')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Follow the program''s output after the deployment, until Ctrl-C')
            [CompletionResult]::new('--redact-logs', '--redact-logs', [CompletionResultType]::ParameterName, 'Mask the values of the container''s variables in that output, too')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'Let the program''s output steer the terminal: colours, but anything else, too')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'sdp;completions' {
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected')
            [CompletionResult]::new('-H', '-H ', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'The engine''s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker''s current context]')
            [CompletionResult]::new('--environment', '--environment', [CompletionResultType]::ParameterName, 'The environment of a repository in sdp.toml: a deployment of its own')
            [CompletionResult]::new('--config', '--config', [CompletionResultType]::ParameterName, 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Write JSON lines to standard output, and nothing else')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say nothing but warnings and errors')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more: each stage as it starts, each remark')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
        'sdp;help' {
            [CompletionResult]::new('deploy', 'deploy', [CompletionResultType]::ParameterValue, 'Fetch, check out, build and start a branch; replace what runs once the new release is proven')
            [CompletionResult]::new('rollback', 'rollback', [CompletionResultType]::ParameterValue, 'Go back to an earlier release: no git, no build, the same health check')
            [CompletionResult]::new('start', 'start', [CompletionResultType]::ParameterValue, 'Start again what stop stopped')
            [CompletionResult]::new('stop', 'stop', [CompletionResultType]::ParameterValue, 'Stop what runs')
            [CompletionResult]::new('logs', 'logs', [CompletionResultType]::ParameterValue, 'Show what the program printed')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'Show what runs, since when, and on which commit')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove old releases and their stopped containers')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Say whether this host is ready to deploy: engine, go, git''s remote, image, ports, disk, clock')
            [CompletionResult]::new('config', 'config', [CompletionResultType]::ParameterValue, 'Show the settings a deployment would use, and where each comes from (flag, variable, sdp.toml, default)')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Write the completions for a shell to standard output')
            [CompletionResult]::new('help', 'help', [CompletionResultType]::ParameterValue, 'Print this message or the help of the given subcommand(s)')
            break
        }
        'sdp;help;deploy' {
            break
        }
        'sdp;help;rollback' {
            break
        }
        'sdp;help;start' {
            break
        }
        'sdp;help;stop' {
            break
        }
        'sdp;help;logs' {
            break
        }
        'sdp;help;status' {
            break
        }
        'sdp;help;prune' {
            break
        }
        'sdp;help;doctor' {
            break
        }
        'sdp;help;config' {
            break
        }
        'sdp;help;completions' {
            break
        }
        'sdp;help;help' {
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
