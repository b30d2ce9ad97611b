# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_sdp_global_optspecs
    string join \n json q/quiet verbose color= H/host= v h/help V/version
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
complete -c sdp -n "__fish_sdp_needs_command" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
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
complete -c sdp -n "__fish_sdp_needs_command" -f -a "completions" -d 'Write the completions for a shell to standard output'
complete -c sdp -n "__fish_sdp_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
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
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s e -l env -d 'Set a variable, or pass on sdp\'s own with the name alone' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l env-file -d 'Set the variables in this file' -r -F
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s p -l publish -d 'Publish a port' -r
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
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l id -d 'The deployment\'s id [default: the time and four random digits]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l keep -d 'How many releases stay, with their stopped containers' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l health-http -d 'The path that must answer with 2xx or 3xx on the program\'s port' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l health-timeout -d 'How long --health-http may take to answer' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l settle -d 'How long a program that does not listen must stay up' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l lock-wait -d 'How long to wait for another deployment of the repository to end' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l force -d 'Drop local changes to tracked files, and follow a rewritten branch or a moved tag'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l submodules -d 'Bring submodules to where the commit has them, which takes the git program'
complete -c sdp -n "__fish_sdp_using_subcommand deploy" -l cgo -d 'Build with cgo; the image must have the C library that the program is linked against'
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
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l no-canary -d 'Never run two releases at once: stop the one that runs first'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand start" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand start" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand start" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand start" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand start" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand start" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l stop-timeout -d 'How long the program may take to stop before it is killed' -r
complete -c sdp -n "__fish_sdp_using_subcommand stop" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand stop" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
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
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand logs" -s f -l follow -d 'Go on with what it prints from now on, also after restarts and deployments, until Ctrl-C'
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
complete -c sdp -n "__fish_sdp_using_subcommand status" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand status" -l history -d 'What was done to it, oldest first'
complete -c sdp -n "__fish_sdp_using_subcommand status" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand status" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand status" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand status" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l keep -d 'How many releases stay' -r
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l dry-run -d 'Only say what would be removed'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand prune" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l color -d 'When to use colour; NO_COLOR and CLICOLOR_FORCE are respected' -r -f -a "auto\t''
always\t''
never\t''"
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s H -l host -d 'The engine\'s address, such as unix:///run/docker.sock, tcp://HOST:2376 or ssh://USER@HOST [default: that of docker\'s context]' -r
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l json -d 'Write JSON lines to standard output, and nothing else'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -l verbose -d 'Say more: each stage as it starts, each remark'
complete -c sdp -n "__fish_sdp_using_subcommand completions" -s h -l help -d 'Print help'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "deploy" -d 'Fetch, check out, build and start a branch; replace what runs once the new release is proven'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "rollback" -d 'Go back to an earlier release: no git, no build, the same health check'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "start" -d 'Start again what stop stopped'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "stop" -d 'Stop what runs'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "logs" -d 'Show what the program printed'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "status" -d 'Show what runs, since when, and on which commit'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "prune" -d 'Remove old releases and their stopped containers'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "completions" -d 'Write the completions for a shell to standard output'
complete -c sdp -n "__fish_sdp_using_subcommand help; and not __fish_seen_subcommand_from deploy rollback start stop logs status prune completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
