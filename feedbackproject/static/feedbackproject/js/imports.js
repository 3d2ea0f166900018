// Shows what the first rows of a chosen file become, before it is sent. Of a text file only the beginning is uploaded.
(() => {
  "use strict";

  const HEAD_BYTES = 256 * 1024;
  const LARGEST_WHOLE = 20 * 1024 * 1024;
  const WAIT_MS = 400;

  const start = () => {
    const form = document.getElementById("import-form");
    const region = document.getElementById("import-preview");
    if (!form || !region) return;
    let timer = 0;
    let asked = 0;

    /** Parquet and zip cannot be read from their beginning alone. */
    const isBinary = async (file) => {
      const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
      const text = String.fromCharCode(...head);
      return text === "PAR1" || text.startsWith("PK");
    };

    const say = (text) => {
      const note = document.createElement("p");
      note.className = "card-note";
      note.textContent = text;
      region.replaceChildren(note);
    };

    const preview = async () => {
      const file = form.elements.file.files[0];
      const number = ++asked;
      if (!file) { region.replaceChildren(); return; }
      const isWhole = await isBinary(file);
      if (isWhole && file.size > LARGEST_WHOLE) { say("The file is too large to be looked at before it is sent."); return; }
      const isCut = !isWhole && file.size > HEAD_BYTES;
      const body = new FormData(form);
      body.set("file", isCut ? file.slice(0, HEAD_BYTES) : file, file.name);
      body.set("is_cut", isCut ? "1" : "0");
      try {
        const response = await fetch(form.dataset.previewUrl, { method: "POST", body });
        const html = await response.text();
        if (number !== asked) return;  // another file was chosen meanwhile
        if (!response.ok) { say("The file could not be looked at; sending it may still work."); return; }
        // Rendered and escaped by the server.
        region.innerHTML = html;
        window.feedback.announce("The preview shows what the first rows become");
      } catch {
        if (number === asked) say("The file could not be looked at: no connection.");
      }
    };

    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(preview, WAIT_MS);
    });
    if (form.elements.file.files.length) preview();
  };

  document.addEventListener("DOMContentLoaded", start);
})();
