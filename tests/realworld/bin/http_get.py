#!/usr/bin/python3 -IS
"""Stands in for curl in hooks: http_get.py URL prints the answer; 0 when its status is below 400."""

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=2) as answer:
        print(answer.status, answer.read().decode().strip())
except urllib.error.URLError as error:
    sys.exit(str(error))
