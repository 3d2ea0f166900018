from django.urls import path

from labeling.pages import account, annotate, keys, label_schema, members, projects

urlpatterns = [
    path("login/", account.login, name="login"),
    path("logout/", account.logout, name="logout"),
    path("account/", account.account, name="account"),
    path("theme/", account.theme, name="theme"),
    path("", projects.project_list, name="projects"),
    path("projects/new/", projects.new_project, name="new_project"),
    path("projects/<slug:slug>/annotate/", annotate.annotate, name="annotate"),
    path("projects/<slug:slug>/classes/", label_schema.label_schema, name="label_schema"),
    path("projects/<slug:slug>/members/", members.members, name="members"),
    path("projects/<slug:slug>/keys/", keys.keys, name="keys"),
]
