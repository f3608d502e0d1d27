/** Asks the reader for the token where the server wants one. */

import { hasToken, onUnauthorized, setToken } from "./api.ts";
import { byId, setHidden, setText } from "./dom.ts";
import { stop } from "./poll.ts";

/** Begins to ask for it whenever an answer is 401. */
export function askForToken(): void {
  const dialog = byId<HTMLDialogElement>("token");
  const input = byId<HTMLInputElement>("token-input");
  const wrong = byId("token-wrong");
  const forget = byId<HTMLButtonElement>("forget");
  const showForget = (): void => setHidden(forget, !hasToken());

  onUnauthorized(() => {
    if (dialog.open) {
      return;
    }
    stop("locked", true);
    setText(wrong, hasToken() ? "That was not the token." : "");
    setToken(undefined);
    showForget();
    input.value = "";
    dialog.showModal();
    input.focus();
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    input.value = "";
    dialog.close();
    showForget();
    stop("locked", false);
  });
  // Without the token there is nothing to see.
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  forget.addEventListener("click", () => {
    setToken(undefined);
    location.reload();
  });
  showForget();
}
