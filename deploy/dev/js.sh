#!/usr/bin/env bash
# Checks the types of the npm package, and makes its declarations (*.d.ts) from its JSDoc.
# With --check, changes nothing: the declarations must be current, and every JavaScript file must parse.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/dev/common.sh

package=client/forefill_web/npm
tools=tests/browser

[ $# -eq 0 ] || [ "$*" = --check ] || die "usage: deploy/dev/js.sh [--check]"
command -v npm >/dev/null || { say "  skipped: npm is not installed"; exit 0; }
if [ ! $tools/node_modules/.package-lock.json -nt $tools/package-lock.json ]; then
    npm ci --prefix $tools --ignore-scripts --no-audit --no-fund --silent
fi

# In a copy without declarations: the compiler prefers those to the code beside them.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp $package/*.js $package/package.json $package/tsconfig.json "$fresh"
node $tools/node_modules/typescript/bin/tsc -p "$fresh"

if [ $# -eq 0 ]; then
    rm -f $package/*.d.ts
    cp "$fresh"/*.d.ts $package
    exit
fi
mkdir "$fresh/committed"
cp $package/*.d.ts "$fresh/committed"
diff "$fresh/committed" "$fresh" --exclude='*.js' --exclude='*.json' --exclude=committed ||
    die "$package/*.d.ts are not what its JSDoc says: run deploy/dev/js.sh"
# By standard input, since a file's syntax errors are passed over if node has to guess that it is a module.
git ls-files --cached --others --exclude-standard -- "$package/*.js" 'client/forefill_web/page/*.js' "$tools/*.js" |
    while read -r file; do
        node --input-type=module --check <"$file" || die "$file is not JavaScript"
    done
