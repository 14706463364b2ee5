# shellcheck shell=sh
# Sourced by the scripts beside it, with $root set to the project's folder: makes $root/.venv hold
# what the extra named $extra in pyproject.toml asks for (empty: what fpx itself needs).

say() { printf 'fpx: %s\n' "$*" >&2; }

find_python() {
    for candidate in "${FPX_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

set_up() {
    python=$(find_python) || {
        say "needs Python 3.11 or newer on PATH (or in FPX_PYTHON), and found none"
        exit 3
    }
    "$python" -c 'import venv, ensurepip' 2>/dev/null || {
        say "$python lacks the venv module: install it (on Debian and Ubuntu: apt install python3-venv)"
        exit 3
    }
    say "setting up $root/.venv; PyTorch makes this take minutes the first time"
    # one that was made elsewhere, or whose Python is gone, would only half work
    [ "$made_for" = "$root" ] && "$root/.venv/bin/python" -c '' 2>/dev/null || rm -rf "$root/.venv"
    [ -x "$root/.venv/bin/python" ] || "$python" -m venv "$root/.venv" >&2 || {
        say "could not make $root/.venv: the lines above say why"
        exit 3
    }
    "$root/.venv/bin/python" -m pip install --disable-pip-version-check \
        --constraint "$root/constraints.txt" --editable "$root${extra:+[$extra]}" >&2 || {
        say "pip could not install what pyproject.toml asks for: the lines above say why"
        exit 3
    }
    printf '%s\n' "$root" >"$root/.venv/made-for"
    : >"$root/.venv/ready-$extra"
}

# Shell built-ins only: where nothing is missing, this starts no process.
made_for=
[ ! -r "$root/.venv/made-for" ] || IFS= read -r made_for <"$root/.venv/made-for" || :
ready=$root/.venv/ready-$extra
if [ "$made_for" != "$root" ] || [ ! -x "$root/.venv/bin/python" ] || [ ! -e "$ready" ] ||
    [ "$root/pyproject.toml" -nt "$ready" ] || [ "$root/constraints.txt" -nt "$ready" ]; then
    set_up
fi
