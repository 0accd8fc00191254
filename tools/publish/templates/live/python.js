// Python for all pages and decks beside this file; loaded at the first touch of a
// control. A classic script, since a page from a disk may load no module.
window.startPython = () => {
  const source = new Blob([PARTS.worker], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(source));
  worker.postMessage({ parts: PARTS });
  return worker;
};
