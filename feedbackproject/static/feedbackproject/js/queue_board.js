// The queue board's bulk form: choosing rows, whole pages and ranges, and showing the field that an action needs.
// Without it the form works too: all fields stand there, and the rows have their boxes.
(() => {
  "use strict";

  const form = document.querySelector("[data-bulk]");
  if (!form) return;
  const verb = form.querySelector("[name=verb]");
  const all = form.querySelector("[data-pick-all]");
  const everything = form.querySelector("[name=everything]");
  const picked = form.querySelector("[data-picked]");
  const apply = form.querySelector("[data-bulk-apply]");
  let lastPicked = null;

  const boxes = () => [...document.querySelectorAll("[data-pick]")];

  const showFields = () => {
    for (const field of form.querySelectorAll("[data-for-verb]")) {
      const isNeeded = field.dataset.forVerb.split(" ").includes(verb.value);
      field.closest(".field").hidden = !isNeeded;
    }
  };

  const showChoice = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
    for (const row of document.querySelectorAll(".queue-table tbody tr")) {
      row.classList.toggle("is-picked", row.querySelector("[data-pick]").checked);
    }
    picked.textContent = everything.checked ? "All that match" : chosen ? `${chosen} chosen` : "";
    form.classList.toggle("is-active", chosen > 0 || everything.checked);
    apply.disabled = !chosen && !everything.checked;
  };

  document.addEventListener("click", (event) => {
    const box = event.target.closest("[data-pick]");
    if (!box) return;
    const list = boxes();
    const from = list.findIndex((each) => each.id === lastPicked);
    if (event.shiftKey && from >= 0) {
      const to = list.indexOf(box);
      for (const each of list.slice(Math.min(from, to), Math.max(from, to) + 1)) each.checked = box.checked;
    }
    lastPicked = box.id;
    showChoice();
  });
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    showChoice();
  });
  everything.addEventListener("change", showChoice);
  verb.addEventListener("change", showFields);
  document.addEventListener("live:swapped", showChoice);
  window.addEventListener("pageshow", () => { showFields(); showChoice(); });

  form.querySelector("[data-pick-all-label]").hidden = false;
  showFields();
  showChoice();
})();
