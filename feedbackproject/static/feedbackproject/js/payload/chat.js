// A transcript: [{role, content}], where content is a text or a list of parts, as chat models are given it.
(() => {
  "use strict";

  const { element, isObject } = window.feedback.dom;

  const ROLES = { user: "User", human: "User", assistant: "Assistant", model: "Assistant", system: "System", tool: "Tool", function: "Tool" };

  const isChat = (value) => Array.isArray(value) && value.length > 0 && value.every((each) => isObject(each) && typeof each.role === "string" && "content" in each);

  const said = (content) => {
    if (typeof content === "string") return content;
    if (!Array.isArray(content)) return content === null ? "" : JSON.stringify(content, null, 1);
    return content.map((part) => {
      if (typeof part === "string") return part;
      return typeof part?.text === "string" ? part.text : JSON.stringify(part, null, 1);
    }).join("\n");
  };

  const chat = (messages) => element("ol", { class: "payload-chat", "aria-label": "Conversation" }, ...messages.map((message) => {
    const role = ROLES[message.role.toLowerCase()] ?? message.role;
    return element("li", { class: `chat-message chat-${role.toLowerCase().replace(/[^a-z]/g, "") || "other"}` },
      element("span", { class: "chat-role" }, role),
      element("p", { class: "chat-content", dir: "auto" }, said(message.content)));
  }));

  window.feedback.views = { ...window.feedback.views, chat, isChat };
})();
