# CRIU's own reader and writer, run in the tree of the peers: every image must come back from JSON byte for byte.
import io, json, os, sys
import pycriu

# What crit cannot do with CRIU's either: content as it is, and segments, which it reads but fails to write.
RAW = ("pages-", "tmpfs-", "ipcns-shm-")

bad = []
names = [name for name in sorted(os.listdir("/mnt")) if name.endswith(".img") and not name.startswith(RAW)]
for name in names:
    with open("/mnt/" + name, "rb") as file:
        whole = file.read()
    try:
        again = io.BytesIO()
        pycriu.images.dump(json.loads(json.dumps(pycriu.images.load(io.BytesIO(whole), True))), again)
        if again.getvalue() != whole:
            bad.append(name + ": other bytes")
    except Exception as error:
        bad.append("%s: %s %s" % (name, type(error).__name__, error))
print(len(names), "images")
sys.exit("\n".join(bad) or None)
