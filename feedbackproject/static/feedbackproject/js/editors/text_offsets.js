// Places in a text: as UTF-16 units for the browser, as code points for answers, as words and characters for the keyboard.
(() => {
  "use strict";

  const hasSegmenter = typeof Intl.Segmenter === "function";

  const pieces = (text, granularity) => {
    if (hasSegmenter) return [...new Intl.Segmenter(undefined, { granularity }).segment(text)].map(({ segment, index }) => ({ start: index, end: index + segment.length, segment }));
    const pattern = granularity === "word" ? /\s+|[\p{L}\p{N}\p{M}_]+|[^\s\p{L}\p{N}\p{M}_]/gu : /\P{M}\p{M}*/gu;
    return [...text.matchAll(pattern)].map((match) => ({ start: match.index, end: match.index + match[0].length, segment: match[0] }));
  };

  class TextOffsets {
    constructor(text) {
      this.text = text;
      this.toPoint = new Uint32Array(text.length + 1);
      this.toUnit = [];
      let unit = 0;
      for (const character of text) {
        for (let half = 0; half < character.length; half += 1) this.toPoint[unit + half] = this.toUnit.length;
        this.toUnit.push(unit);
        unit += character.length;
      }
      this.toPoint[unit] = this.toUnit.length;
      this.toUnit.push(unit);
      /** Words and punctuation marks, without the gaps. */
      this.words = pieces(text, "word").filter((piece) => piece.segment.trim() !== "");
    }

    /** From an answer, whose offsets may be anybody's. */
    range({ start, end }) {
      const most = this.toUnit.length - 1;
      const inside = (point) => this.toUnit[Math.min(Math.max(point, 0), most)];
      return { start: inside(start), end: inside(end) };
    }

    points({ start, end }) {
      return { start: this.toPoint[start], end: this.toPoint[end] };
    }

    slice({ start, end }) {
      return this.text.slice(start, end);
    }

    /** Without the white space at its ends; null if nothing else is in it. */
    trimmed({ start, end }) {
      const part = this.text.slice(start, end);
      const from = start + part.length - part.trimStart().length;
      const to = end - (part.length - part.trimEnd().length);
      return from < to ? { start: from, end: to } : null;
    }

    /** The word at a place, or the next one behind it. */
    wordAt(unit) {
      const index = this.words.findIndex((word) => word.end > unit);
      return index === -1 ? this.words.length - 1 : index;
    }

    /** The place one character (as a reader counts them) before or behind. */
    step(unit, by) {
      this.characters ??= pieces(this.text, "grapheme");
      const places = this.characters;
      if (by > 0) return places.find((each) => each.end > unit)?.end ?? this.text.length;
      return places.findLast((each) => each.start < unit)?.start ?? 0;
    }
  }

  window.feedback.TextOffsets = TextOffsets;
})();
