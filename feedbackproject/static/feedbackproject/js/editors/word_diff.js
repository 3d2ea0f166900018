// What changed between two texts, word by word: the longest common subsequence of words and gaps.
(() => {
  "use strict";

  // Beyond so many comparisons the changed middle is shown as replaced whole.
  const MOST_CELLS = 2_000_000;

  const words = (text) => text.match(/\s+|[\p{L}\p{N}\p{M}_'’]+|[^\s\p{L}\p{N}\p{M}_]/gu) ?? [];

  const common = (a, b) => {
    const width = b.length + 1;
    const lengths = new Uint32Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i -= 1) {
      for (let j = b.length - 1; j >= 0; j -= 1) {
        lengths[i * width + j] = a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
      }
    }
    return (i, j) => lengths[i * width + j];
  };

  /** [{kind: "same" | "removed" | "added", text}], in order; joined without "added" it is the first text. */
  const wordDiff = (before, after) => {
    const [a, b] = [words(before), words(after)];
    let head = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
    let tail = 0;
    while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
    const runs = [];
    const put = (kind, parts) => {
      const text = parts.join("");
      if (!text) return;
      if (runs.at(-1)?.kind === kind) runs.at(-1).text += text;
      else runs.push({ kind, text });
    };
    put("same", a.slice(0, head));
    const [middleA, middleB] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
    if (middleA.length * middleB.length > MOST_CELLS) {
      put("removed", middleA);
      put("added", middleB);
    } else {
      const left = common(middleA, middleB);
      let [i, j] = [0, 0];
      while (i < middleA.length || j < middleB.length) {
        if (i < middleA.length && j < middleB.length && middleA[i] === middleB[j]) {
          put("same", [middleA[i]]);
          i += 1;
          j += 1;
        } else if (j >= middleB.length || (i < middleA.length && left(i + 1, j) >= left(i, j + 1))) put("removed", [middleA[i++]]);
        else put("added", [middleB[j++]]);
      }
    }
    put("same", a.slice(a.length - tail));
    return runs;
  };

  window.feedback.wordDiff = wordDiff;
})();
