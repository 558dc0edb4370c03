interface Code {
  highlight(code: string, language: string): Promise<{ ok: boolean; value: string }>;
}

export default {
  async fetch(request: Request, env: { CODE: Code }): Promise<Response> {
    const answer = await env.CODE.highlight("let a = 1", "typescript");
    return new Response(answer.value, { headers: { "Content-Type": "text/html" } });
  },
};
