// When the pages are built, in node: Pyodide compiles what a page will load. Python of
// the page's own version has to do it, since bytecode is made for one version.
import { readFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [folder] = process.argv.slice(2);
const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } }); // the same bytes every time
const series = new Uint8Array(readFileSync(`${folder}/series.zip`));
python.unpackArchive(series, "zip", { extractDir: "/lib/series" });
python.mountNodeFS("/out", folder);
python.runPython(readFileSync(new URL("compile.py", import.meta.url), "utf8"));
