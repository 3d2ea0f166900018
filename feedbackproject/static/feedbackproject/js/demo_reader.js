// The digit reader's own script: what an app does to use the widget. The stub lets calls be made before it is loaded.
(() => {
  "use strict";

  window.feedback = window.feedback || ((...call) => new Promise((done) => (feedback.q = feedback.q || []).push([call, done])));

  const { digits: address, project, key, question } = document.currentScript.dataset;
  const find = (id) => document.getElementById(id);
  let digits = [];
  let shown = 0;

  const say = (kind, text, isGood) => {
    const line = document.createElement("li");
    const badge = document.createElement("span");
    badge.className = isGood ? "badge good" : "badge";
    badge.textContent = kind;
    line.append(badge, text);
    find("log").prepend(line);
  };

  const draw = ({ pixels, pixel_max, key: name }) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = pixels.length;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Handwritten digit ${name}`);
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    pixels.flat().forEach((value, at) => {
      const shade = Math.round(255 * (1 - value / pixel_max));
      image.data.set([shade, shade, shade, 255], 4 * at);
    });
    context.putImageData(image, 0, 0);
    return canvas;
  };

  const ask = async (digit) => {
    const decision = await feedback("ask", { key: digit.key, question });
    const chance = decision.propensity ? `, with a chance of ${Math.round(100 * decision.propensity)}%` : "";
    if (decision.ask) say("asked", `${decision.reason}${chance}`, true);
    else say("not asked", `${decision.reason}${chance}`.replaceAll("_", " "));
    return decision;
  };

  const reveal = () => {
    const { answer, confidence } = digits[shown];
    const read = document.createElement("strong");
    read.textContent = answer;
    find("reading").replaceChildren("It is a ", read, `${Math.round(100 * confidence)}% sure`);
  };

  const show = async (at) => {
    feedback("close"); // a question about another digit
    shown = at;
    const digit = digits[at];
    const picture = draw(digit);
    Object.assign(picture.dataset, { feedbackDwell: "", feedbackImpression: "", key: digit.key });
    find("picture").replaceChildren(picture);
    find("waiting").querySelectorAll("button").forEach((button, index) => button.setAttribute("aria-current", String(index === at)));
    find("reading").textContent = "Reading…";
    const decision = await ask(digit);
    if (shown !== at || digits[at] !== digit) return;
    // A blind question is worth nothing if the page tells the answer: it waits until the question is closed.
    if (decision.is_blind && decision.ask) find("reading").textContent = "What do you read?";
    else reveal();
  };

  const fetchDigits = async () => {
    const response = await fetch(address);
    digits = (await response.json()).digits;
    find("waiting").replaceChildren(...digits.map((digit, at) => {
      const line = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-label", `Read digit ${at + 1} of ${digits.length}`);
      Object.assign(button.dataset, { feedbackClick: "", key: digit.key });
      const picture = draw(digit);
      picture.setAttribute("aria-hidden", "true");
      button.append(picture);
      button.addEventListener("click", () => show(at));
      line.append(button);
      return line;
    }));
    const has = digits.length > 0;
    for (const id of ["next", "retry"]) find(id).disabled = !has;
    if (has) show(0);
    else find("reading").textContent = "No model reads digits yet.";
  };

  find("next").addEventListener("click", () => {
    if (shown + 1 < digits.length) show(shown + 1);
    else fetchDigits();
  });
  find("retry").addEventListener("click", () => {
    feedback("track", { kind: "retry", key: digits[shown].key });
    say("retry", "will go out with the next events");
  });

  feedback("init", { project, key, respondent: true });
  feedback("on", "closed", ({ key: name }) => { if (name === digits[shown].key) reveal(); });
  feedback("on", "answered", ({ answer }) => say("answered", JSON.stringify(answer), true));
  feedback("on", "dismissed", () => say("dismissed", "no answer"));
  feedback("on", "opted_out", () => say("opted out", "will not be asked again"));
  feedback("on", "error", ({ code, message }) => say("error", message ?? code));
  fetchDigits();
})();
