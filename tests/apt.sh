# Sourced by the scripts beside it: installing what a test needs, on Debian and Ubuntu.

# Runs a command as root, or explains why it cannot.
as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root or sudo, and there is neither: $*" >&2
        return 1
    fi
}

# Installs packages; the package lists are fetched only when they do not know a package yet.
apt_install() {
    if ! command -v apt-get >/dev/null; then
        echo "There is no apt-get here; please install by hand: $*" >&2
        return 1
    fi
    echo "Installing $*" >&2
    if ! apt-get install --simulate "$@" >/dev/null 2>&1; then
        as_root apt-get update --quiet >&2 || return 1
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends "$@" >&2 </dev/null
}
