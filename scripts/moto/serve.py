"""Serves S3 by moto on a free port of this machine until standard input ends."""

import logging
import sys
import urllib.request

from moto.server import ThreadedMotoServer

PATIENCE_S = 60

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
address = f"http://{host}:{port}"
for bucket in sys.argv[1:]:
    request = urllib.request.Request(f"{address}/{bucket}", method="PUT")
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()
print(address, flush=True)
sys.stdin.buffer.read()
server.stop()
