"""Requests every URL named after the CA file. Usage: requests_client.py CA URL..."""

import sys

import requests

with requests.Session() as session:
    for url in sys.argv[2:]:
        response = session.get(url, verify=sys.argv[1], timeout=30)
        print(response.status_code, response.text.strip())
