// What somebody in training is told after each answer: whether it was right, what is, and why.
(() => {
  "use strict";

  const { ApiError } = window.feedback;

  const SAID = {
    honest: "Your training is over: from now on you get real work.",
    not_honest: "Your answers do not fit yet. Read the guidelines again, and ask whoever manages this project.",
    undecided: "",
  };

  class Lessons {
    /** `fetchLesson(annotationId)` asks the service, `summary(answer)` writes an answer, `onClose(lesson)` after each. */
    constructor({ dialog, fetchLesson, summary, onClose }) {
      this.dialog = dialog;
      this.fetchLesson = fetchLesson;
      this.summary = summary;
      this.waiting = [];
      this.shown = null;
      dialog.addEventListener("close", () => {
        onClose(this.shown);
        this.#showNext();
      });
    }

    #part(name) {
      return this.dialog.querySelector(`[data-lesson="${name}"]`);
    }

    /** A lesson that cannot be had is left out: the answer itself is saved. */
    async after(annotationId, said) {
      try {
        this.waiting.push({ lesson: await this.fetchLesson(annotationId), said });
        if (!this.dialog.open) this.#showNext();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
    }

    #showNext() {
      const next = this.waiting.shift();
      if (!next) return;
      const { lesson, said } = next;
      this.shown = lesson;
      this.dialog.classList.toggle("is-right", lesson.is_right);
      this.#part("title").textContent = lesson.is_right ? "Right" : "Not right";
      this.#part("said").textContent = said;
      this.#part("right").textContent = this.summary(lesson.right_answer);
      this.#part("explanation").textContent = lesson.explanation;
      this.#part("explanation").hidden = !lesson.explanation;
      this.#part("record").textContent = `So far ${lesson.hits} right, ${lesson.misses} wrong. ${SAID[lesson.verdict]}`.trim();
      this.dialog.showModal();
    }
  }

  window.feedback.Lessons = Lessons;
})();
