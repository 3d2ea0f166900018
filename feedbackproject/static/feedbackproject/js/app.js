// What every page may use: colour scheme, menus, confirmations, copy buttons, times in the reader's zone.
// Pages work without any of it, except where the page says so.
(() => {
  "use strict";

  const announcer = () => document.getElementById("announcer");

  /** Say something to screen readers without moving the focus. */
  const announce = (text) => {
    const region = announcer();
    if (region) region.textContent = text;
  };
  window.feedback = { announce };

  // The server renders the scheme from the cookie, so nothing flashes on the next page.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-form]")) return;
    event.preventDefault();
    const theme = event.submitter.value;
    document.documentElement.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
    announce(event.submitter.dataset.said);
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const opener = event.target.closest("[data-open-dialog]");
    if (opener) document.getElementById(opener.dataset.openDialog).showModal();
    const closer = event.target.closest("[data-close-dialog]");
    if (closer) closer.closest("dialog").close();
    // A click on the backdrop is a click on the dialog itself, outside its box.
    if (event.target instanceof HTMLDialogElement) {
      const box = event.target.getBoundingClientRect();
      const isInside = event.clientX >= box.left && event.clientX <= box.right
        && event.clientY >= box.top && event.clientY <= box.bottom;
      if (!isInside && event.detail > 0) event.target.close();
    }
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copy);
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
      announce("Copied");
    } catch {
      // No permission, or not a secure address: select it, so that one key press copies it.
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { button.textContent = before; }, 2500);
  };

  // A form is sent once, however often its button is pressed. A page out of the back cache may send it again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post]")) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  const localTimes = (root) => {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.title = format.format(new Date(time.dateTime));
    }
  };

  // The current tab may lie outside its strip on a phone.
  const showCurrentTabs = () => {
    for (const strip of document.querySelectorAll(".tabs .frame, .views ul")) {
      const tab = strip.querySelector("[aria-current]")?.getBoundingClientRect();
      if (tab) strip.scrollLeft += tab.left - strip.getBoundingClientRect().left - (strip.clientWidth - tab.width) / 2;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    localTimes(document);
    showCurrentTabs();
    for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();
  });
  document.addEventListener("htmx:load", (event) => localTimes(event.detail.elt));
})();
