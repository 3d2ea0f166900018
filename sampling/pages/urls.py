from django.urls import path

from sampling.pages import answers, ask_policy, ask_snippets, asks, questions, queue, retention, widget

urlpatterns = [
    path("projects/<slug:slug>/queue/", queue.queue, name="queue"),
    path("projects/<slug:slug>/asks/", asks.asks, name="asks"),
    path("projects/<slug:slug>/asks/policy/", ask_policy.ask_policy, name="ask_policy"),
    path("projects/<slug:slug>/asks/retention/", retention.retention, name="retention"),
    path("projects/<slug:slug>/asks/snippets/", ask_snippets.ask_snippets, name="ask_snippets"),
    path("projects/<slug:slug>/asks/questions/", questions.question_list, name="questions"),
    path("projects/<slug:slug>/asks/answers/", answers.answers, name="answers"),
    path("projects/<slug:slug>/asks/new-question/", questions.new_question, name="new_question"),
    path("projects/<slug:slug>/asks/preview/", questions.question_preview, name="question_preview"),
    path("projects/<slug:slug>/asks/questions/<slug:key>/", questions.question, name="question"),
    path("widget.js", widget.widget, name="widget"),
]
