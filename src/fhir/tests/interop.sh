#!/bin/sh
# usage: src/fhir/tests/interop.sh BUILD-FOLDER
# Runs test_fhir and test_finding with npm's FHIR validator, installed into a folder that is removed afterwards.
set -eu
modules=$(mktemp -d)
trap 'rm -rf "$modules"' EXIT
npm install --prefix "$modules" --ignore-scripts --no-audit --no-fund --no-save fhir@4.12.0 >&2
cd "$(dirname "$0")/../../.."
export HILUM_FHIR_MODULES="$modules/node_modules"
"$1/test_fhir"
"$1/test_finding"
