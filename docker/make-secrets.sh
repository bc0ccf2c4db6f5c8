#!/bin/sh
# Make the secrets of compose.yml in the folder secrets/ beside this file. Safe to repeat: a file that exists is kept.
#
#   ./make-secrets.sh           make what is missing
#   ./make-secrets.sh --help    show this
#
# The folder can be entered by its owner only. The files in it are readable for all, because the services run as
# different users and Docker gives them the files with their mode. To use a secret of your own, write it into its file
# first, in letters and digits. Label Studio and PostgreSQL take theirs at the first start only: change it in the running
# service first, then in the file.
set -eu
umask 077

case "${1:-}" in
  "") ;;
  -h|--help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
  *) echo "make-secrets.sh: '$1' is not an option; call it without arguments, or with --help" >&2; exit 2 ;;
esac

folder=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)/secrets
mkdir -p -- "$folder"
chmod 700 -- "$folder"

# random BYTES: print them in hexadecimal, which needs no quoting anywhere
random() {
  od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# keep NAME VALUE: write a new file in one step; a file that exists must not be empty
keep() {
  path=$folder/$1
  if [ -e "$path" ]; then
    if ! [ -s "$path" ]; then
      echo "make-secrets.sh: $path is empty; delete it, or write the secret into it" >&2
      exit 1
    fi
    echo "kept $path"
  else
    rm -f -- "$path.new"
    printf '%s' "$2" > "$path.new"
    chmod 444 -- "$path.new"
    mv -- "$path.new" "$path"
    echo "made $path"
  fi
}

keep redis_password "$(random 24)"
keep postgres_password "$(random 24)"
keep label_studio_password "$(random 12)"
keep label_studio_token "$(random 20)"
keep backend_password "$(random 24)"
keep webhook_secret "$(random 24)"
