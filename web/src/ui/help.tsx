import { useEffect, useRef } from "preact/hooks";
import { className, usePage } from "./context";

const KEYS = [
  ["← ↑ → ↓", "help.arrows"], ["Shift + ←↑→↓", "help.extend"], ["Space", "help.select"], ["Ctrl + A", "help.all"], ["Enter", "help.confirm"],
  ["Delete", "help.remove"], ["Ctrl + Z", "help.undo"], ["Ctrl + Shift + Z", "help.redo"], ["F", "help.field"], ["G", "help.gallery"],
  ["+ −", "help.zoom"], ["[ ]", "help.next_field"], [".", "help.add"], ["K", "help.check"], ["?", "help.help"],
] as const;

export function Help() {
  const { desk, say } = usePage();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const open = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      if (event.key === "?" && !typing) dialog.current?.showModal();
    };
    addEventListener("keydown", open);
    return () => removeEventListener("keydown", open);
  }, []);
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()} aria-haspopup="dialog">{say("help.title")} <kbd>?</kbd></button>
      <dialog ref={dialog} class="help" aria-labelledby="help-title" onClick={(e) => e.target === dialog.current && dialog.current?.close()}>
        <h2 id="help-title">{say("help.title")}</h2>
        <dl class="keys">
          {KEYS.map(([key, word]) => <div key={word}><dt><kbd>{key}</kbd></dt><dd>{say(word)}</dd></div>)}
        </dl>
        <h3>{say("help.classes")}</h3>
        <dl class="keys">
          {desk.run.classes.filter((c) => c.key).map((c) => (
            <div key={c.name}><dt><kbd>{c.key.toUpperCase()}</kbd></dt><dd><bdi>{className(say, c.name)}</bdi></dd></div>
          ))}
        </dl>
        <p>{say("help.drag")}</p>
        <p class="quiet">{desk.run.notice}</p>
        <form method="dialog"><button class="primary">{say("help.close")}</button></form>
      </dialog>
    </>
  );
}
