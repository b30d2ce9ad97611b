# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sdp_global_optspecs
    string join \n json q/quiet verbose color= H/host= environment= config= v h/help V/version
end

function __fish_sdp_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_sdp_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_sdp_using_subcommand
    set -l cmd (__fish_sdp_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c sdp -n "__fish_sdp_needs_command" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_needs_command" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_needs_command" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_needs_command" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_needs_command" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_needs_command" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_needs_command" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_needs_command" -s v -d '--verbose, before the command (after `deploy`, -v mounts a volume)'
complete -c sdp -n "__fish_sdp_needs_command" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_needs_command" -s V -l version -d 'Print version'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "deploy" -d 'Fetch, check out, build and start a branch; replace what runs once the new release is proven'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "rollback" -d 'Go back to an earlier release: no git, no build, the same health check'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "start" -d 'Start again what stop stopped'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "stop" -d 'Stop what runs'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "logs" -d 'Show what the program printed'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "status" -d 'Show what runs, since when, and on which commit'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "prune" -d 'Remove old releases and their stopped containers'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "doctor" -d 'Say whether this host is ready to deploy: engine, go, git\'s remote, image, ports, disk, clock'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "config" -d 'Show the settings a deployment would use, and where each comes from (flag, variable, sdp.toml, default)'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "completions" -d 'Write the completions for a shell to standard output'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l request -d 'Read further flags from a JSON object, - for standard input; keeps secrets out of the process list' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s b -l branch -d 'The branch to deploy [default: the one that is checked out]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l tag -d 'The tag to deploy instead' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l commit -d 'The commit to deploy instead: its id, or the beginning of it' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l path -d 'Where the checkout is, or goes when it is cloned' -r -f -a "(__fish_complete_directories)"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l url -d 'Where to clone from when there is no checkout yet' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l depth -d 'Clone no more than the last N commits' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l ssh-key -d 'The private key for ssh, before any other' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l git-token-file -d 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l git-timeout -d 'How long a transfer may make no progress' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l package -d 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l workdir -d 'The directory in the repository to build in, where the module is not at its root' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l tags -d 'Build tags, separated by commas' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l ldflags -d 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l build-env -d 'Set a variable for the build only, such as GOPRIVATE, or take sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l go -d 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l image -d 'The image to run the program in; `builtin` is a minimal one that sdp carries' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l pull -d 'When to pull the image' -r -f -a "missing\t'When it is not there'
always\t'Before every deployment'
never\t'Not at all'"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l image-archive -d 'Load the image from this file, as docker save writes it, where it would be pulled' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s e -l env -d 'Set a variable, or pass on sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l env-file -d 'Set the variables in this file' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l env-command -d 'Set the variables that a shell command prints, as in a file' -r -f -a "(__fish_complete_command)"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l secret -d 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s p -l publish -d 'Publish a port; without HOST the engine picks the host\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s v -l volume -d 'Mount a directory of the host, or a named volume' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l port -d 'The port that the program listens on' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l network -d 'The network to join' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l label -d 'Add a label' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l stop-timeout -d 'How long a container may take to stop before it is killed' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l mount -d 'What is mounted at /src: this deployment\'s own copy, or the live checkout, writable' -r -f -a "release\t'.sdp/releases/ID, read-only'
checkout\t'The checkout itself, writable'"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l deliver -d 'How the release gets to the engine' -r -f -a "auto\t'Mounted; uploaded to another host, or where the engine cannot see this one\'s directories'
mount\t'A directory of this host'
upload\t'A volume of the engine\'s, filled through its API'"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l include -d 'Untracked files that the release takes along, such as \'assets/**/*.css\'' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l user -d 'Who the program runs as [default: the image\'s user; with --hardened 65534:65534]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l memory -d 'How much memory it may take, such as 256m' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l cpus -d 'How many processors it may keep busy, such as 1.5' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l pids -d 'How many processes and threads it may have [with --hardened: 512]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l ulimit -d 'A limit of the kernel\'s, such as nofile=1024:2048' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l log-opt -d 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l restart -d 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l id -d 'The deployment\'s id [default: the time and four random digits]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l keep -d 'How many releases stay, with their stopped containers; the one that serves counts' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l health-http -d 'The path that must answer with 2xx or 3xx on the program\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l health-timeout -d 'How long --health-http, or the port that -p publishes, may take to answer' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l settle -d 'How long a program that does not listen must stay up' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l lock-wait -d 'How long to wait for another deployment of the repository to end' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l before-build -d 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l before-start -d 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l after-deploy -d 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l force -d 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l submodules -d 'Bring submodules to where the commit has them, which takes the git program'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l cgo -d 'Build with cgo; the image must have the C library that the program is linked against'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l hardened -d 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l no-canary -d 'Never run two releases at once: with a host port in common, stop the former one first'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l if-changed -d 'Leave what runs alone if commit, settings and image are the same, and it is healthy'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l dry-run -d 'Only say what would be done, with the docker run line that comes nearest to it'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s f -l follow -d 'Follow the program\'s output after the deployment, until Ctrl-C'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l redact-logs -d 'Mask the values of the container\'s variables in that output, too'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l raw -d 'Let the program\'s output steer the terminal: colours, but anything else, too'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l to -d 'The deployment to go back to; `sdp status REPO` lists them' -r
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l no-canary -d 'Never run two releases at once: stop the one that runs first'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand start" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand start" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand start" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand start" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand start" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand start" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand start" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand start" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l stop-timeout -d 'How long the program may take to stop before it is killed [default: as its deployment was told]' -r
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand stop" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand stop" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand stop" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s n -l tail -d 'Begin with the last N lines' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l since -d 'Begin that long ago, or at that moment: 10m, 2026-11-24T06:15:00Z' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l until -d 'End that long ago, or at that moment; with --follow, when it comes' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l stream -d 'Only one of the two streams' -r -f -a "stdout\t''
stderr\t''"
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s f -l follow -d 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C or `sdp stop`'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l raw -d 'Let the program\'s output steer the terminal: colours, but anything else, too'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s t -l timestamps -d 'Put the time before each line'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l redact-logs -d 'Mask the values of the container\'s variables'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand status" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand status" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand status" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand status" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand status" -l history -d 'What was done to it, oldest first'
complete -c sdp -n "__fish_sdp_using_subcommand status" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand status" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand status" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand status" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l keep -d 'How many releases stay; the one that serves counts' -r
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l dry-run -d 'Only say what would be removed'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s b -l branch -d 'The branch to deploy [default: the one that is checked out]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l tag -d 'The tag to deploy instead' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l commit -d 'The commit to deploy instead: its id, or the beginning of it' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l path -d 'Where the checkout is, or goes when it is cloned' -r -f -a "(__fish_complete_directories)"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l url -d 'Where to clone from when there is no checkout yet' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l depth -d 'Clone no more than the last N commits' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l ssh-key -d 'The private key for ssh, before any other' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l git-token-file -d 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l git-timeout -d 'How long a transfer may make no progress' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l package -d 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l workdir -d 'The directory in the repository to build in, where the module is not at its root' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l tags -d 'Build tags, separated by commas' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l ldflags -d 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l build-env -d 'Set a variable for the build only, such as GOPRIVATE, or take sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l go -d 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l image -d 'The image to run the program in; `builtin` is a minimal one that sdp carries' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l pull -d 'When to pull the image' -r -f -a "missing\t'When it is not there'
always\t'Before every deployment'
never\t'Not at all'"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l image-archive -d 'Load the image from this file, as docker save writes it, where it would be pulled' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s e -l env -d 'Set a variable, or pass on sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l env-file -d 'Set the variables in this file' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l env-command -d 'Set the variables that a shell command prints, as in a file' -r -f -a "(__fish_complete_command)"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l secret -d 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s p -l publish -d 'Publish a port; without HOST the engine picks the host\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s v -l volume -d 'Mount a directory of the host, or a named volume' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l port -d 'The port that the program listens on' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l network -d 'The network to join' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l label -d 'Add a label' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l stop-timeout -d 'How long a container may take to stop before it is killed' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l mount -d 'What is mounted at /src: this deployment\'s own copy, or the live checkout, writable' -r -f -a "release\t'.sdp/releases/ID, read-only'
checkout\t'The checkout itself, writable'"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l deliver -d 'How the release gets to the engine' -r -f -a "auto\t'Mounted; uploaded to another host, or where the engine cannot see this one\'s directories'
mount\t'A directory of this host'
upload\t'A volume of the engine\'s, filled through its API'"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l include -d 'Untracked files that the release takes along, such as \'assets/**/*.css\'' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l user -d 'Who the program runs as [default: the image\'s user; with --hardened 65534:65534]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l memory -d 'How much memory it may take, such as 256m' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l cpus -d 'How many processors it may keep busy, such as 1.5' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l pids -d 'How many processes and threads it may have [with --hardened: 512]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l ulimit -d 'A limit of the kernel\'s, such as nofile=1024:2048' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l log-opt -d 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l restart -d 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l id -d 'The deployment\'s id [default: the time and four random digits]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l keep -d 'How many releases stay, with their stopped containers; the one that serves counts' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l health-http -d 'The path that must answer with 2xx or 3xx on the program\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l health-timeout -d 'How long --health-http, or the port that -p publishes, may take to answer' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l settle -d 'How long a program that does not listen must stay up' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l lock-wait -d 'How long to wait for another deployment of the repository to end' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l before-build -d 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l before-start -d 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l after-deploy -d 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l force -d 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l submodules -d 'Bring submodules to where the commit has them, which takes the git program'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l cgo -d 'Build with cgo; the image must have the C library that the program is linked against'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l hardened -d 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l no-canary -d 'Never run two releases at once: with a host port in common, stop the former one first'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l if-changed -d 'Leave what runs alone if commit, settings and image are the same, and it is healthy'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l dry-run -d 'Only say what would be done, with the docker run line that comes nearest to it'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l request -d 'Read further flags from a JSON object, - for standard input; keeps secrets out of the process list' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -s b -l branch -d 'The branch to deploy [default: the one that is checked out]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l tag -d 'The tag to deploy instead' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l commit -d 'The commit to deploy instead: its id, or the beginning of it' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l path -d 'Where the checkout is, or goes when it is cloned' -r -f -a "(__fish_complete_directories)"
complete -c sdp -n "__fish_sdp_using_subcommand config" -l url -d 'Where to clone from when there is no checkout yet' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l depth -d 'Clone no more than the last N commits' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l ssh-key -d 'The private key for ssh, before any other' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l git-token-file -d 'A file with the password or token for http; else SDP_GIT_TOKEN, or what git has' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l git-timeout -d 'How long a transfer may make no progress' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l package -d 'The main package to build, such as ./cmd/shop [default: the only one, else ./cmd/REPO]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l workdir -d 'The directory in the repository to build in, where the module is not at its root' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l tags -d 'Build tags, separated by commas' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l ldflags -d 'Flags for the linker, as go build takes them; {{commit}}, {{branch}} and {{id}} are filled in' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l build-env -d 'Set a variable for the build only, such as GOPRIVATE, or take sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l go -d 'The go command to use [default: the one in PATH, else /usr/local/go/bin/go]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l image -d 'The image to run the program in; `builtin` is a minimal one that sdp carries' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l pull -d 'When to pull the image' -r -f -a "missing\t'When it is not there'
always\t'Before every deployment'
never\t'Not at all'"
complete -c sdp -n "__fish_sdp_using_subcommand config" -l image-archive -d 'Load the image from this file, as docker save writes it, where it would be pulled' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -s e -l env -d 'Set a variable, or pass on sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l env-file -d 'Set the variables in this file' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l env-command -d 'Set the variables that a shell command prints, as in a file' -r -f -a "(__fish_complete_command)"
complete -c sdp -n "__fish_sdp_using_subcommand config" -l secret -d 'Mount a file at /run/secrets/NAME, and set NAME_FILE to that' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -s p -l publish -d 'Publish a port; without HOST the engine picks the host\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -s v -l volume -d 'Mount a directory of the host, or a named volume' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l port -d 'The port that the program listens on' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l network -d 'The network to join' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l label -d 'Add a label' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l stop-timeout -d 'How long a container may take to stop before it is killed' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l mount -d 'What is mounted at /src: this deployment\'s own copy, or the live checkout, writable' -r -f -a "release\t'.sdp/releases/ID, read-only'
checkout\t'The checkout itself, writable'"
complete -c sdp -n "__fish_sdp_using_subcommand config" -l deliver -d 'How the release gets to the engine' -r -f -a "auto\t'Mounted; uploaded to another host, or where the engine cannot see this one\'s directories'
mount\t'A directory of this host'
upload\t'A volume of the engine\'s, filled through its API'"
complete -c sdp -n "__fish_sdp_using_subcommand config" -l include -d 'Untracked files that the release takes along, such as \'assets/**/*.css\'' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l user -d 'Who the program runs as [default: the image\'s user; with --hardened 65534:65534]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l memory -d 'How much memory it may take, such as 256m' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l cpus -d 'How many processors it may keep busy, such as 1.5' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l pids -d 'How many processes and threads it may have [with --hardened: 512]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l ulimit -d 'A limit of the kernel\'s, such as nofile=1024:2048' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l log-opt -d 'An option of the log driver [json-file: max-size=10m and max-file=3, unless the engine has others]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l restart -d 'When the engine starts it again: no, always, on-failure, on-failure:N or unless-stopped' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l id -d 'The deployment\'s id [default: the time and four random digits]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l keep -d 'How many releases stay, with their stopped containers; the one that serves counts' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l health-http -d 'The path that must answer with 2xx or 3xx on the program\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l health-timeout -d 'How long --health-http, or the port that -p publishes, may take to answer' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l settle -d 'How long a program that does not listen must stay up' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l lock-wait -d 'How long to wait for another deployment of the repository to end' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l before-build -d 'A shell command on this host, in --workdir, before go build; what it changes in tracked files is part of the build and is put back after it' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l before-start -d 'A shell command in a container of the new release, before that replaces what runs: a migration; if it fails, what runs stays' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l after-deploy -d 'A shell command on this host, in --workdir, once a new release serves; not where nothing changed, and not after a rollback' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand config" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand config" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand config" -l force -d 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l submodules -d 'Bring submodules to where the commit has them, which takes the git program'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l cgo -d 'Build with cgo; the image must have the C library that the program is linked against'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l hardened -d 'Take away what servers seldom need: a read-only root, no capabilities, not root, 512 processes'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l no-canary -d 'Never run two releases at once: with a host port in common, stop the former one first'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l if-changed -d 'Leave what runs alone if commit, settings and image are the same, and it is healthy'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l dry-run -d 'Only say what would be done, with the docker run line that comes nearest to it'
complete -c sdp -n "__fish_sdp_using_subcommand config" -s f -l follow -d 'Follow the program\'s output after the deployment, until Ctrl-C'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l redact-logs -d 'Mask the values of the container\'s variables in that output, too'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l raw -d 'Let the program\'s output steer the terminal: colours, but anything else, too'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand config" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand config" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: DOCKER_CONTEXT, else host in sdp.toml, else docker\'s current context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l environment -d 'The environment of a repository in sdp.toml: a deployment of its own' -r
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l config -d 'The configuration [default: ./sdp.toml, else in $XDG_CONFIG_HOME/sdp, else in /etc/sdp]' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "deploy" -d 'Fetch, check out, build and start a branch; replace what runs once the new release is proven'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "rollback" -d 'Go back to an earlier release: no git, no build, the same health check'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "start" -d 'Start again what stop stopped'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "stop" -d 'Stop what runs'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "logs" -d 'Show what the program printed'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "status" -d 'Show what runs, since when, and on which commit'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "prune" -d 'Remove old releases and their stopped containers'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "doctor" -d 'Say whether this host is ready to deploy: engine, go, git\'s remote, image, ports, disk, clock'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "config" -d 'Show the settings a deployment would use, and where each comes from (flag, variable, sdp.toml, default)'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "completions" -d 'Write the completions for a shell to standard output'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune doctor config completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
