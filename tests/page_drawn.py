# SPDX-License-Identifier: GPL-3.0-or-later
"""Is every figure of a page drawn?

    page_drawn.py PAGE BROWSER [FIGURES]

Opens the page in a headless browser (no network is there to be used), asks it
where every figure is (in a copy of the page that reports its boxes: the page
itself has no script), takes a screenshot of the whole and counts in each
figure's region the pixels that are not background, the different colours and
the rows and columns that have ink. Prints a line for each figure.
"""
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

WIDTH = 1330
SCRIPT = """<pre id="boxes"></pre><script>
var b = [];
document.querySelectorAll("figure svg").forEach(function (s) {
  var r = s.getBoundingClientRect(), over = 0;
  s.querySelectorAll("text").forEach(function (t) {
    var q = t.getBoundingClientRect();
    if (q.width && (q.left < r.left - 1 || q.right > r.right + 1 ||
        q.top < r.top - 1 || q.bottom > r.bottom + 1)) over++;
  });
  b.push([r.left, r.top, r.width, r.height, over]);
});
document.getElementById("boxes").textContent = "BOXES" +
  JSON.stringify({height: document.documentElement.scrollHeight,
    wide: document.documentElement.scrollWidth, box: b}) + "END";
</script></body>"""


def browse(browser, url, *options):
    run = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu",
         "--hide-scrollbars", "--disable-dev-shm-usage",
         "--user-data-dir=" + os.path.join(tempfile.gettempdir(),
                                           "browser-%d" % os.getpid()),
         *options, url],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    return run.stdout.decode("utf-8", "replace")


def read_png(path):
    """Rows of (r, g, b) bytes of an 8-bit RGB(A) PNG without interlace."""
    with open(path, "rb") as f:
        data = f.read()
    at, parts = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            w, h, depth, colour, _, _, lace = struct.unpack(
                ">IIBBBBB", data[at + 8:at + 21])
        elif kind == b"IDAT":
            parts += data[at + 8:at + 8 + size]
        at += size + 12
    assert depth == 8 and colour in (2, 6) and not lace
    n = 3 if colour == 2 else 4
    raw, rows, last = zlib.decompress(parts), [], bytearray(w * n)
    for y in range(h):
        kind = raw[y * (w * n + 1)]
        line = bytearray(raw[y * (w * n + 1) + 1:(y + 1) * (w * n + 1)])
        unfilter(kind, line, last, n)
        rows.append(line)
        last = line
    return w, h, n, rows


def unfilter(kind, line, last, n):
    if kind == 2:
        for i, up in enumerate(last):
            line[i] = line[i] + up & 255
    elif kind:
        for i in range(len(line)):
            left = line[i - n] if i >= n else 0
            up, corner = last[i], last[i - n] if i >= n else 0
            if kind == 1:
                add = left
            elif kind == 3:
                add = left + up >> 1
            else:
                p = left + up - corner
                a, b, c = abs(p - left), abs(p - up), abs(p - corner)
                add = left if a <= b and a <= c else up if b <= c else corner
            line[i] = line[i] + add & 255


def look(rows, n, box):
    """Share of ink, colours, share of rows and of columns with ink."""
    left, top, width, height = (int(v) for v in box[:4])
    colours, inked, lines, columns = set(), 0, 0, set()
    for y in range(top, top + height):
        line, before = rows[y], inked
        for x in range(left, left + width):
            pixel = bytes(line[x * n:x * n + 3])
            if min(pixel) < 245:
                colours.add(pixel)
                columns.add(x)
                inked += 1
        lines += inked > before
    return (inked / (width * height), len(colours), lines / height,
            len(columns) / width)


def main():
    page, browser = sys.argv[1:3]
    with open(page, encoding="utf-8") as f:
        text = f.read()
    assert "<script" not in text, "the page has a script"
    with tempfile.TemporaryDirectory() as d:
        copy, shot = os.path.join(d, "copy.html"), os.path.join(d, "shot.png")
        asking = re.sub(r"<meta http-equiv[^>]*>", "", text)
        with open(copy, "w", encoding="utf-8") as f:
            f.write(asking.replace("</body>", SCRIPT))
        dom = browse(browser, "file://" + copy, "--dump-dom",
                     "--window-size=%d,1000" % WIDTH)
        found = json.loads(re.search(r"BOXES(\{.*?\})END", dom).group(1))
        browse(browser, "file://" + os.path.abspath(page),
               "--screenshot=" + shot,
               "--window-size=%d,%d" % (WIDTH, found["height"] + 200))
        _, _, n, rows = read_png(shot)
    bad = 0
    for i, box in enumerate(found["box"]):
        share, colours, lines, columns = look(rows, n, box)
        good = (box[2] > 300 and box[3] > 100 and share > 0.005 and
                colours >= 8 and lines > 0.3 and columns > 0.5 and
                not box[4])
        bad += not good
        print("%s figure %d: %.0f x %.0f, ink %.1f %%, %d colours, %.0f %% "
              "of rows, %.0f %% of columns, %d texts cut" % (
                  "drawn" if good else "NOT DRAWN", i + 1, box[2], box[3],
                  100 * share, colours, 100 * lines, 100 * columns, box[4]))
    if found["wide"] > WIDTH:
        print("the page is wider than its window")
        bad += 1
    if len(sys.argv) > 3 and len(found["box"]) != int(sys.argv[3]):
        print("%d figures instead of %s" % (len(found["box"]), sys.argv[3]))
        bad += 1
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
