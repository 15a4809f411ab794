// The address box: a combobox with a list of suggestions (ARIA Authoring Practices, "list autocomplete with manual
// selection"). Without this script it is a plain search field of a plain form.

const PAUSE = 120; // milliseconds after a key before suggestions are asked for
const LEAST = 2; // characters

class AddressBox {
  constructor(input) {
    this.input = input;
    this.status = document.getElementById("address-status");
    this.list = document.createElement("ul");
    this.list.id = `${input.id}-list`;
    this.list.className = "suggestions";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", input.dataset.list);
    this.list.hidden = true;
    input.after(this.list);
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": this.list.id,
    })) input.setAttribute(name, value);
    this.active = -1;
    input.addEventListener("input", () => this.typed());
    input.addEventListener("keydown", (event) => this.pressed(event));
    input.addEventListener("blur", () => this.close());
    this.list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the field
    this.list.addEventListener("click", (event) => this.take(event.target.closest("li"), true));
  }

  get options() {
    return [...this.list.children];
  }

  typed() {
    this.forget();
    const text = this.input.value.trim();
    if (text.length < LEAST) this.close();
    else this.timer = setTimeout(() => this.ask(text), PAUSE);
  }

  // Whatever is being asked is not waited for any more.
  forget() {
    clearTimeout(this.timer);
    this.waiting?.abort();
  }

  async ask(text) {
    this.waiting = new AbortController();
    try {
      const address = `${this.input.dataset.suggest}?q=${encodeURIComponent(text)}`;
      const response = await fetch(address, { signal: this.waiting.signal, headers: { Accept: "application/json" } });
      if (response.ok && document.activeElement === this.input) this.show((await response.json()).suggestions);
    } catch (error) {
      if (error.name !== "AbortError") this.close(); // the form works without suggestions
    }
  }

  show(found) {
    this.list.replaceChildren(...found.map(({ text }, index) => {
      const option = document.createElement("li");
      option.id = `${this.list.id}-${index}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.lang = "en";
      option.dir = "auto";
      option.textContent = text;
      return option;
    }));
    this.turnTo(-1);
    this.open(found.length > 0);
    const { none, one, many } = this.input.dataset;
    this.status.textContent = [none, one][found.length] ?? many.replace("{count}", found.length);
  }

  open(visible) {
    this.list.hidden = !visible;
    this.input.setAttribute("aria-expanded", String(visible));
  }

  close() {
    this.forget();
    this.turnTo(-1);
    this.open(false);
    this.status.textContent = "";
  }

  turnTo(index) {
    this.options[this.active]?.setAttribute("aria-selected", "false");
    this.active = index;
    const option = this.options[index];
    if (!option) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  pressed(event) {
    const { key } = event;
    if (this.list.hidden) return;
    if (key === "ArrowDown" || key === "ArrowUp") {
      this.forget(); // the list one has begun to choose from does not change under one's hands
      const places = this.options.length + 1; // the field itself is one of them
      const by = key === "ArrowDown" ? 1 : -1;
      this.turnTo(((this.active + 1 + by + places) % places) - 1);
    } else if (key === "Escape") this.close();
    else if (key === "Enter" && this.active >= 0) this.take(this.options[this.active], true);
    else if (key === "Tab" && this.active >= 0) {
      this.take(this.options[this.active], false);
      return;
    } else return;
    event.preventDefault();
  }

  take(option, send) {
    if (!option) return;
    this.input.value = option.textContent;
    this.close();
    if (send) this.input.form.requestSubmit();
  }
}

function joinLocating(button) {
  if (!navigator.geolocation) return;
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    const say = (text) => (document.getElementById("address-status").textContent = text);
    say(button.dataset.looking);
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        const address = new URL(button.dataset.locate, window.location.href);
        address.searchParams.set("lon", coords.longitude.toFixed(6));
        address.searchParams.set("lat", coords.latitude.toFixed(6));
        window.location.assign(address);
      },
      () => {
        say(button.dataset.failed);
        document.getElementById("address-status").classList.remove("visually-hidden");
      },
      { timeout: 10000, maximumAge: 60000 },
    );
  });
}

document.querySelectorAll("input[data-suggest]").forEach((input) => new AddressBox(input));
document.querySelectorAll("button[data-locate]").forEach(joinLocating);
