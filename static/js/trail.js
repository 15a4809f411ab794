// The way through views that the browser's back button leads: each view is an entry of the history, in the page's
// address.
const PAUSE = 1000; // milliseconds; movements closer to each other are one step

export class Trail {
  /** `address` gives the address of what is shown; `follow` is called when the reader went to another address. */
  constructor(address, follow) {
    this.address = address;
    this.last = -PAUSE;
    window.addEventListener("hashchange", () => {
      this.quietly(follow);
      this.last = performance.now();
    });
  }

  /** Does something that is no step of the reader's. */
  quietly(act) {
    this.isQuiet = true;
    act();
    this.isQuiet = false;
  }

  /** Writes down what is shown now; `isMove` tells that only the map moved. */
  note(isMove = false) {
    const address = this.address();
    if (this.isQuiet || address === window.location.hash) return;
    const now = performance.now();
    const isOwn = window.self === window.top; // inside somebody else's page the history is theirs
    const isStep = isOwn && this.hasBegun && !(isMove && now - this.last < PAUSE);
    history[isStep ? "pushState" : "replaceState"](null, "", address);
    this.hasBegun = true;
    this.last = now;
  }
}
