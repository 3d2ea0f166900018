// A small picture given as rows of numbers. High values are ink on white paper.
(() => {
  "use strict";

  const { element } = window.feedback.dom;

  const isGrid = (grid) => Array.isArray(grid) && grid.length > 0 && Array.isArray(grid[0])
    && grid[0].length > 0 && grid.every((row) => Array.isArray(row) && row.length === grid[0].length);

  /** One canvas pixel a value, enlarged by CSS without smoothing. */
  const pixels = (grid, most) => {
    const [height, width] = [grid.length, grid[0].length];
    const canvas = element("canvas", { class: "payload-pixels", role: "img", "aria-label": `Picture, ${width} by ${height} pixels` });
    canvas.width = width;
    canvas.height = height;
    canvas.style.aspectRatio = `${width} / ${height}`;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const top = most > 0 ? most : Math.max(...grid.map((row) => Math.max(...row))) || 1;
    grid.flat().forEach((value, index) => {
      const shade = Math.round(255 * (1 - Math.min(Math.max(Number(value) / top, 0), 1)));
      image.data.set([shade, shade, shade, 255], 4 * index);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  };

  window.feedback.views = { ...window.feedback.views, isGrid, pixels };
})();
