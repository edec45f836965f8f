// The little of the DOM that the binding of a text box uses: elements that are event targets, with children.

class FakeNode extends EventTarget {
  childNodes = [];
  parent = null;

  get firstChild() {
    return this.childNodes[0] ?? null;
  }

  get nextSibling() {
    const siblings = this.parent?.childNodes ?? [];
    return siblings[siblings.indexOf(this) + 1] ?? null;
  }

  replaceChildren(...children) {
    this.childNodes = children;
    for (const child of children) child.parent = this;
  }
}

class FakeText extends FakeNode {
  nodeType = 3;
  nodeName = "#text";

  constructor(data) {
    super();
    this.data = data;
  }
}

class FakeComment extends FakeText {
  nodeType = 8;
  nodeName = "#comment";
}

export class FakeElement extends FakeNode {
  nodeType = 1;

  constructor(name, children = []) {
    super();
    this.nodeName = name.toUpperCase();
    this.replaceChildren(...children);
  }

  closest(name) {
    return this.nodeName === name.toUpperCase() ? this : (this.parent?.closest?.(name) ?? null);
  }
}

/** A textarea or an input. */
export class FakeField extends FakeElement {
  value = "";
}

/** Make elements of a text such as "<div>a<br></div>"; "|" parts two text nodes. */
export function parsedHtml(html) {
  const root = new FakeElement("div");
  const open = [[root, []]];
  for (const [token] of html.matchAll(/<!--.*?-->|<[^>]*>|[^<|]+/g)) {
    const name = /^<\/?(\w+)/.exec(token)?.[1];
    const children = open.at(-1)[1];
    if (token.startsWith("<!--")) children.push(new FakeComment(token.slice(4, -3)));
    else if (token.startsWith("</")) {
      const [element, inside] = open.pop();
      element.replaceChildren(...inside);
    } else if (name === undefined) children.push(new FakeText(token));
    else {
      const element = new FakeElement(name);
      children.push(element);
      if (name !== "br") open.push([element, []]);
    }
  }
  root.replaceChildren(...open[0][1]);
  return root;
}

/** Fire an event with fields such as `key`; return whether its default was prevented. */
export function fire(target, type, fields = {}) {
  const event = Object.assign(new Event(type, { bubbles: true, cancelable: true }), fields);
  target.dispatchEvent(event);
  return event.defaultPrevented;
}
