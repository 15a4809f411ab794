// A part of a map's page that puts one question at a time: the answer is on the map, in words and in lists.
/* global L */
import { say } from "./words.js";

export default class Asking {
  /** `element` is the part of the page; `answers` are its parts that an answer fills; `first` has the focus once they
   * are cleared; `changed` is called when another question is answered; `announce` speaks where the part is closed. */
  constructor(element, map, { answers, first, changed, announce }) {
    Object.assign(this, { element, map, answers, changed, announce });
    this.part = (name) => element.querySelector(`[data-part="${name}"]`);
    this.drawn = L.layerGroup().addTo(map);
    this.part("clear").addEventListener("click", () => {
      this.clear();
      changed();
      this.part(first).focus();
    });
  }

  /** Puts a question instead of the one before: `answer` shows what came, `failed` turns an error into a sentence. */
  async put(question, answer, failed) {
    this.clear();
    this.asked = question;
    this.element.open = true;
    this.tell(say("loading"));
    this.waiting = new AbortController();
    try {
      await answer(this.waiting.signal);
    } catch (error) {
      if (error.name !== "AbortError") this.tell(failed(error));
    }
    this.changed();
  }

  clear() {
    this.waiting?.abort();
    this.asked = undefined;
    this.drawn.clearLayers();
    for (const name of ["answer", ...this.answers]) this.part(name).replaceChildren();
    this.part("clear").hidden = true;
  }

  tell(sentence) {
    this.part("answer").textContent = sentence;
    if (!this.element.open) this.announce(sentence);
  }
}

/** What an address answers, as JSON; an error with `sentence` where it answers none. */
export async function fetched(address, options, sentence) {
  const response = await fetch(address, options);
  if (!response.ok) throw new Error(sentence);
  return response.json();
}
