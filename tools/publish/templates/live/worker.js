// Python in a worker of a page: the explorers' own code, on Pyodide. Everything it
// needs comes in one message, since a page from a disk may fetch nothing.
const BASE = "https://python.invalid/"; // an address that is answered below
const SOURCE = `
import json, sys
sys.path.insert(0, "/lib/series")
from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
panels = {}
def ask(place, name, start, moves):
    if place not in panels:
        panels[place] = Panel(**description(name), start=json.loads(start))
    panels[place].ask(json.loads(moves))
    return json.dumps(panels[place].answer())
ask
`;
const unpack = async (text) => {
  const { body } = await fetch(`data:application/gzip;base64,${text}`);
  const stream = body.pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const load = (text) => import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));

// From a disk Chromium starts classic workers only; Pyodide asks by this whether it is
// in one, but needs nothing more of modules than `import()`.
self.importScripts = () => { throw new TypeError("this worker imports modules"); };

const boot = async ({ asm, runtime, wasm, library, series, lock }) => {
  const [asmText, runtimeText, ...files] = await Promise.all([asm, runtime, wasm, library, series].map(unpack));
  const fetched = self.fetch;
  self.fetch = (request, ...rest) => {
    const url = String(request.url ?? request);
    if (!url.startsWith(BASE)) return fetched(request, ...rest);
    const [body, type] = url.endsWith(".wasm") ? [files[0], "application/wasm"] : [files[1], "application/zip"];
    return Promise.resolve(new Response(body, { headers: { "content-type": type } }));
  };
  const { default: createPyodideModule } = await load(asmText);
  const { loadPyodide } = await load(runtimeText);
  const python = await loadPyodide({
    indexURL: BASE, packageBaseUrl: BASE, stdLibURL: `${BASE}python_stdlib.zip`,
    createPyodideModule, lockFileContents: lock,
  });
  python.unpackArchive(files[2], "zip", { extractDir: "/lib/series" });
  return python.runPython(SOURCE);
};
let ask;
onmessage = async ({ data }) => {
  try {
    ask ??= boot(data.parts);
    const answer = await ask;
    if (data.parts) postMessage({ ready: true });
    else postMessage({ place: data.place, serial: data.serial, answer: answer(data.place, data.name, data.start, data.moves) });
  } catch (error) {
    postMessage({ failed: String(error) });
  }
};
