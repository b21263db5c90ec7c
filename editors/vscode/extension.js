// Starts `aebuild lsp` for YAML files; all that it knows is the server's.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("aebuild").get("command");
  const watcher = vscode.workspace.createFileSystemWatcher("**/*.{yaml,yml}");
  client = new LanguageClient("aebuild", "aebuild", { command, args }, {
    documentSelector: [{ scheme: "file", language: "yaml" }, { scheme: "untitled", language: "yaml" }],
    synchronize: { fileEvents: watcher },
  });
  return client.start();
}

async function activate(context) {
  context.subscriptions.push(vscode.commands.registerCommand("aebuild.restart", async () => {
    await deactivate();
    await start();
  }));
  await start();
}

async function deactivate() {
  if (client) {
    await client.stop();
    client = undefined;
  }
}

module.exports = { activate, deactivate };
