// A column of whole numbers from the text that packing.py made of it.
async function unpacked(text) {
  const [head, body] = text.split(":"), deltas = head.startsWith("d"), type = deltas ? head.slice(1) : head;
  const deflated = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  const places = new Uint8Array(await new Response(inflated).arrayBuffer());
  const Column = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i2: Int16Array, i4: Int32Array }[type];
  const width = Column.BYTES_PER_ELEMENT, count = places.length / width, bytes = new Uint8Array(places.length);
  for (let place = 0, from = 0; place < width; place++) {
    for (let i = 0; i < count; i++, from++) bytes[i * width + place] = places[from];
  }
  const column = new Column(bytes.buffer); // all machines that run browsers put the lowest byte first
  if (deltas) for (let i = 1; i < count; i++) column[i] += column[i - 1];
  return column;
}

// The same of all columns of an object; what is no text stays as it is.
async function unpackedColumns(packed) {
  const ready = Object.entries(packed).map(async ([name, value]) => [name, typeof value === "string" ? await unpacked(value) : value]);
  return Object.fromEntries(await Promise.all(ready));
}
