#!/bin/sh
# in_namespace.sh COMMAND...: run it where there is no network but the loopback.
exec unshare --user --map-root-user --net sh -c '
  python3 -c "
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # lo starts down
    fcntl.ioctl(s, 0x8914, struct.pack(\"16sh\", b\"lo\", 0x49))
" && exec "$@"' sh "$@"
