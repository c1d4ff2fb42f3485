#!/bin/sh
# Debian's Chromium for the tests of the page: installed where it is missing and may be; else they are skipped.
set -u
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing chromium for the tests of the page"
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    chromium fonts-liberation >/dev/null; then
    exit 0
  fi
fi
echo "no chromium: the tests of the page in a browser are skipped (apt-get install chromium)"
